package authz

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func user(name string, groups ...string) *authn.Principal {
	return &authn.Principal{Kind: authn.KindUser, Name: name, Groups: groups}
}

func robot(name string) *authn.Principal {
	return &authn.Principal{Kind: authn.KindRobot, Name: name}
}

func mustCompile(tb testing.TB, cfg Config) *Policy {
	tb.Helper()
	p, err := Compile(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestRoleMatrix(t *testing.T) {
	// The registry-relevant rows of Harbor's matrix, and Apicurio's roles.
	const every = "pull push delete overwrite list manage"
	for role, want := range map[string]string{
		"limited_guest": "pull list",
		"guest":         "pull list",
		"developer":     "pull push overwrite list",
		"maintainer":    "pull push delete overwrite list",
		"project_admin": every,
		"admin":         every,
		"read_only":     "pull list",
		"sr-readonly":   "pull list",
		"sr-developer":  "pull push delete overwrite list",
		"sr-admin":      every,
	} {
		p := mustCompile(t, Config{Projects: []Project{{
			Patterns: []string{"team-a/**"},
			Grants:   []Grant{{Role: role, Subjects: []string{"group:dev"}}},
		}}})
		for _, action := range AllActions.Names() {
			a, _ := ParseAction(action)
			expected := strings.Contains(want, action)
			q := &Query{Repository: "team-a/app", Action: a}
			if d := p.Decide(user("alice", "dev"), q); d.Allowed != expected {
				t.Errorf("%s %s: allowed %v, want %v", role, action, d.Allowed, expected)
			}
			for who, principal := range map[string]*authn.Principal{
				"not a member": user("alice", "ops"), "anonymous": nil,
				"anonymous with a group": {Kind: authn.KindAnonymous, Groups: []string{"dev"}},
				"unknown kind":           {Kind: "", Groups: []string{"dev"}},
			} {
				if d := p.Decide(principal, q); d.Allowed {
					t.Errorf("%s may %s as %s", who, action, role)
				}
			}
			for _, other := range []string{"team-b/app", "team-a2/app", "team-a", "team-a/../team-a/app", "team-a//app", ""} {
				if d := p.Decide(user("alice", "dev"), &Query{Repository: other, Action: a}); d.Allowed {
					t.Errorf("%s %s on %q", role, action, other)
				}
			}
		}
	}
}
