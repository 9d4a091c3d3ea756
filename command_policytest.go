package registryauth

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

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
