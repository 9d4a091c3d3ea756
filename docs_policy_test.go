package registryauth_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// TestPolicyTables decides every row of the tables below the Caddyfiles of
// docs/policy.md: who asks for what, and the answer.
func TestPolicyTables(t *testing.T) {
	m, rows := newDocsMachine(t), 0
	for _, b := range documentedCaddyfiles(t) {
		if b.file != "docs/policy.md" {
			continue
		}
		policy := documentedPolicy(t, m, b)
		for i, line := range b.after {
			cells := strings.Split(line, "|")
			if len(cells) != 5 || !strings.Contains(cells[1], "`") {
				continue
			}
			rows++
			words, facts := documentedFacts(codeWords(cells[1]))
			principal, remote := documentedPrincipal(t, words)
			asked, err := authz.Compile(facts.add(policy, principal))
			if err != nil {
				t.Fatal(err)
			}
			if got := documentedAnswer(asked.With(facts), principal, remote, codeWords(cells[2])); got != strings.TrimSpace(cells[3]) {
				t.Errorf("%s, table row %d: got %q\n%s", b.heading, i, got, line)
			}
		}
	}
	if rows < 40 {
		t.Errorf("%d rows only", rows)
	}
}

// documentedPolicy is the policy of a Caddyfile's only realm.
func documentedPolicy(t *testing.T, m *docsMachine, b docsBlock) authz.Config {
	t.Helper()
	adapted, err := m.adapt(b)
	if err != nil {
		t.Fatalf("%s:%d: %v", b.file, b.line, err)
	}
	var config any
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	handler := findHandler(config)
	if handler == nil {
		t.Fatalf("%s:%d: no registry_auth", b.file, b.line)
	}
	raw, err := json.Marshal(handler["policy"])
	if err != nil {
		t.Fatal(err)
	}
	var c authz.Config
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// documented is what is stored in a row of a table.
type documented struct{ owner, mapped string }

// documentedFacts takes "owner:user:ann" and "mapped:developer" out of words.
func documentedFacts(words []string) (rest []string, facts documented) {
	for _, word := range words {
		if owner, ok := strings.CutPrefix(word, "owner:"); ok {
			facts.owner = owner
		} else if role, ok := strings.CutPrefix(word, "mapped:"); ok {
			facts.mapped = role
		} else {
			rest = append(rest, word)
		}
	}
	return rest, facts
}

// add returns the rules with the stored role mapping.
func (d documented) add(c authz.Config, p *authn.Principal) authz.Config {
	if d.mapped != "" {
		c.Projects = append(slices.Clone(c.Projects), authz.Project{Name: "mapped", Patterns: []string{"**"}, Grants: []authz.Grant{
			{Role: d.mapped, Subjects: []string{p.String()}, Mapped: true},
		}})
	}
	return c
}

func (d documented) Permissions(*authn.Principal) *authz.Permissions { return nil }

func (d documented) Owner(authz.OwnedBy, string) *authz.Ownership {
	if d.owner == "" {
		return nil
	}
	return &authz.Ownership{Principal: d.owner}
}

func findHandler(tree any) map[string]any {
	switch tree := tree.(type) {
	case map[string]any:
		if tree["handler"] == "registry_auth" {
			return tree
		}
		for _, v := range tree {
			if found := findHandler(v); found != nil {
				return found
			}
		}
	case []any:
		for _, v := range tree {
			if found := findHandler(v); found != nil {
				return found
			}
		}
	}
	return nil
}

// codeWords are the words that a cell has in backticks.
func codeWords(cell string) []string {
	var words []string
	for i, part := range strings.Split(cell, "`") {
		if i%2 == 1 {
			words = append(words, part)
		}
	}
	return words
}

// documentedPrincipal reads "user:ann", "group:dev", "from:10.0.0.1".
func documentedPrincipal(t *testing.T, words []string) (*authn.Principal, netip.Addr) {
	t.Helper()
	p := &authn.Principal{Claims: map[string]any{}}
	remote := netip.MustParseAddr("10.1.2.3")
	for _, word := range words {
		kind, name, _ := strings.Cut(word, ":")
		switch kind {
		case "anonymous":
			*p = *authn.Anonymous
		case "user":
			p.Kind, p.Name = authn.KindUser, name
		case "robot":
			p.Kind, p.Name = authn.KindRobot, name
		case "group":
			p.Groups = append(p.Groups, name)
		case "role":
			p.Roles = append(p.Roles, name)
		case "claim":
			path, value, _ := strings.Cut(name, "=")
			p.Claims[path] = value
		case "from":
			remote = netip.MustParseAddr(name)
		default:
			t.Fatalf("who is %q?", word)
		}
	}
	return p, remote
}

// documentedAnswer decides about "push team-a/app:v1".
func documentedAnswer(policy *authz.Policy, p *authn.Principal, remote netip.Addr, words []string) string {
	what, where, _ := strings.Cut(strings.Join(words, ""), " ")
	repository, tag, _ := strings.Cut(where, ":")
	action, err := authz.ParseAction(what)
	if err != nil {
		return err.Error()
	}
	d := policy.Decide(p, &authz.Query{Repository: repository, Tag: tag, Action: action, Remote: remote})
	switch {
	case d.Allowed:
		return "yes"
	case d.Ask == authz.AskAbsent:
		return "new tags"
	}
	return "no"
}
