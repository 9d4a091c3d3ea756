package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

func policyTestCommand() *cobra.Command {
	var realm realmFlags
	cmd := &cobra.Command{
		Use:   "test [flags] <file>...",
		Short: "Checks the policy against a table of expectations",
		Long: `
Reads YAML files with questions and the decisions that are expected, decides
each as explain does, and prints every difference with its file and line:

	- as: user:alice
	  groups: [dev]
	  do: push team-a/app:v1
	  expect: allow

Further fields of a case: name, roles, claims, ip, time, user_agent, because
(a part of the reason), what the registry holds: tag_exists, tags, signed, and
what is kept at run time: owner, created.

Exits with 0 if all expectations hold, 1 if one does not, 2 if a file or the
configuration is wrong.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("want a file with expectations, for example policy_test.yaml")
			}
			var cases []policyCase
			for _, file := range args {
				data, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				more, err := parsePolicyCases(file, data)
				if err != nil {
					return err
				}
				cases = append(cases, more...)
			}
			loaded, err := realm.load(cmd.InOrStdin())
			if err != nil {
				return err
			}
			differences, err := loaded.check(cases)
			if err != nil {
				return err
			}
			var b strings.Builder
			for _, d := range differences {
				fmt.Fprintln(&b, d)
			}
			fmt.Fprintf(&b, "%d passed, %d failed\n", len(cases)-len(differences), len(differences))
			if _, err := fmt.Fprint(cmd.OutOrStdout(), b.String()); err != nil {
				return err
			}
			if len(differences) > 0 {
				return errNo
			}
			return nil
		},
	}
	realm.add(cmd)
	return withStatus(cmd)
}

// check decides every case and returns what is not as expected, a line each.
func (r *loadedRealm) check(cases []policyCase) ([]string, error) {
	var differences []string
	for i := range cases {
		c := &cases[i]
		query := c.query
		e, err := r.ask(c.principal, &query, c.state)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.where, err)
		}
		if e.Decision == c.Expect && strings.Contains(e.Reason, c.Because) {
			continue
		}
		expected, got := c.Expect, e.Decision+": "+e.Reason
		if c.Because != "" {
			expected += fmt.Sprintf(" because %q", c.Because)
		}
		if e.Decision == decisionDepends {
			say := map[authz.Ask]string{authz.AskAbsent: "tag_exists", authz.AskTags: "tags"}
			got = "no decision: it depends on " + e.Depends + ", say it with " + say[e.ask]
		}
		differences = append(differences, fmt.Sprintf("%s: %s: expected %s, got %s", c.where, c.title(), expected, got))
	}
	return differences, nil
}

// policyCase is one expectation of a policy test, and what it says once it
// was understood.
type policyCase struct {
	Name      string         `yaml:"name"`
	As        string         `yaml:"as"`
	Groups    []string       `yaml:"groups"`
	Roles     []string       `yaml:"roles"`
	Claims    map[string]any `yaml:"claims"`
	IP        string         `yaml:"ip"`
	Time      string         `yaml:"time"`
	UserAgent string         `yaml:"user_agent"`
	Do        string         `yaml:"do"`
	TagExists *bool          `yaml:"tag_exists"`
	Tags      []string       `yaml:"tags"`
	Owner     string         `yaml:"owner"`
	Created   bool           `yaml:"created"`
	Signed    *bool          `yaml:"signed"`
	Expect    string         `yaml:"expect"`
	Because   string         `yaml:"because"`

	where     string // "policy_test.yaml:12"
	principal *authn.Principal
	query     authz.Query
	state     registryState
}

var policyCaseFields = []string{
	"name", "as", "groups", "roles", "claims", "ip", "time", "user_agent", "do", "tag_exists", "tags", "owner", "created", "signed", "expect", "because",
}

// parsePolicyCases reads a list of cases. The error joins everything that is
// wrong, each with file and line.
func parsePolicyCases(file string, data []byte) ([]policyCase, error) {
	var nodes []yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&nodes); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("want a list of cases: %w", yamlError(file, err))
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("%s: there is no case", file)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: want one list of cases, there is a second document", file)
	}
	var errs []error
	cases := make([]policyCase, len(nodes))
	for i := range nodes {
		c := &cases[i]
		c.where = fmt.Sprintf("%s:%d", file, nodes[i].Line)
		if err := unknownFields(&nodes[i], file); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := nodes[i].Decode(c); err != nil {
			errs = append(errs, yamlError(file, err))
			continue
		}
		errs = append(errs, c.understand()...)
	}
	return cases, errors.Join(errs...)
}

// yamlError puts the file in front of the lines that the decoder names, which
// are in its text only.
func yamlError(file string, err error) error {
	texts := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	if bad, ok := errors.AsType[*yaml.TypeError](err); ok {
		texts = bad.Errors
	}
	var errs []error
	for _, text := range texts {
		if line, ok := strings.CutPrefix(text, "line "); ok {
			text = file + ":" + line
		} else {
			text = file + ": " + text
		}
		errs = append(errs, errors.New(text))
	}
	return errors.Join(errs...)
}

// unknownFields refuses a field that means nothing: a misspelled one would
// make a test that tests something else.
func unknownFields(node *yaml.Node, file string) error {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: want a case such as {as: user:alice, do: pull team-a/app, expect: allow}", file, node.Line)
	}
	var errs []error
	for i := 0; i < len(node.Content); i += 2 {
		if key := node.Content[i]; key.Tag != "!!merge" && !slices.Contains(policyCaseFields, key.Value) {
			errs = append(errs, fmt.Errorf("%s:%d: %w", file, key.Line, unknownWord("field", key.Value, policyCaseFields)))
		}
	}
	return errors.Join(errs...)
}

// understand turns the words of a case into what the policy is asked.
func (c *policyCase) understand() (errs []error) {
	wrong := func(err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.where, err))
		}
	}
	if query, err := parseQuery(strings.Fields(c.Do)); err != nil {
		wrong(fmt.Errorf("do: %w", err))
	} else {
		c.query = *query
		c.state = registryState{
			exists: c.TagExists, tags: c.Tags, owner: c.Owner, created: c.Created, signed: c.Signed,
		}
		wrong(situate(&c.query, c.IP, c.Time, c.UserAgent))
		wrong(c.state.apply(query))
	}
	claims, err := jsonClaims(c.Claims)
	if err == nil && c.As == "" {
		err = errors.New("as: who asks is missing: want for example user:alice or anonymous")
	}
	if err == nil {
		c.principal, err = newPrincipal(c.As, c.Groups, c.Roles, claims)
	}
	wrong(err)
	if c.Expect != decisionAllow && c.Expect != decisionDeny {
		wrong(fmt.Errorf("expect %q: want allow or deny", c.Expect))
	}
	return errs
}

// jsonClaims gives claims the types that they have in a token: all numbers
// are floating-point ones there.
func jsonClaims(claims map[string]any) (map[string]any, error) {
	if claims == nil {
		return nil, nil
	}
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if _, err := json.Marshal(claims[name]); err != nil {
			return nil, fmt.Errorf("claims: %s is nothing that JSON can have", name)
		}
	}
	data, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	return parseClaims(data)
}

// title is how a difference calls the case.
func (c *policyCase) title() string {
	if c.Name != "" {
		return c.Name
	}
	return c.As + " " + c.Do
}
