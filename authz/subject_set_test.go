package authz

import (
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func TestSubjectSet(t *testing.T) {
	alice := &authn.Principal{
		Kind: authn.KindUser, Name: "alice", Groups: []string{"dev"}, Roles: []string{"sr-admin"},
		Claims: map[string]any{"org-admin": true},
	}
	robot := &authn.Principal{Kind: authn.KindRobot, Name: "alice"}
	policy, err := Compile(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		subjects                  []string
		alice, robot, anonymously bool
	}{
		{nil, false, false, false},
		{[]string{"anyone"}, true, true, true},
		{[]string{"authenticated"}, true, true, false},
		{[]string{"user:alice"}, true, false, false},
		{[]string{"robot:alice"}, false, true, false},
		{[]string{"group:ops", "group:dev"}, true, false, false},
		{[]string{"role:sr-admin"}, true, false, false},
		{[]string{"claim:org-admin=true"}, true, false, false},
		{[]string{"claim:org-admin=false", "user:bob", "group:devs"}, false, false, false},
	} {
		s, err := NewSubjectSet(test.subjects)
		if err != nil {
			t.Fatal(err)
		}
		if s.Has(alice, policy) != test.alice || s.Has(robot, policy) != test.robot || s.Has(authn.Anonymous, policy) != test.anonymously || s.Has(nil, policy) != test.anonymously {
			t.Errorf("%q: user %t, robot %t, anonymous %t", test.subjects, s.Has(alice, policy), s.Has(robot, policy), s.Has(authn.Anonymous, policy))
		}
	}
	// Where roles come from elsewhere, those of the token are none.
	elsewhere, err := Compile(Config{RoleSources: []string{"application"}})
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := NewSubjectSet([]string{"role:sr-admin"}); s.Has(alice, elsewhere) {
		t.Error("a role of the token counts where roles are managed here")
	}
	// Stored role mappings count where they are for the whole registry.
	mapped := func(c Config, role string, patterns ...string) Config {
		c.Projects = []Project{{Name: "mapping", Patterns: patterns, Grants: []Grant{{Role: role, Subjects: []string{"group:dev"}, Mapped: true}}}}
		return c
	}
	admins := Config{Admins: []Admin{{Subjects: []string{"user:alice"}, Mapped: true}}}
	for _, test := range []struct {
		name   string
		config Config
		role   string
		want   bool
	}{
		{"of all", mapped(Config{}, "sr-developer", "**"), "sr-developer", true},
		{"another role", mapped(Config{}, "sr-developer", "**"), "sr-readonly", false},
		{"of some repositories", mapped(Config{}, "sr-developer", "team/**"), "sr-developer", false},
		{"other sources", mapped(Config{RoleSources: []string{"token"}}, "sr-developer", "**"), "sr-developer", false},
		{"an administrator", admins, "admin", true},
		{"one who was", Config{Admins: []Admin{{Subjects: []string{"user:alice"}, Mapped: true, Conditions: Conditions{Until: "2020-01-01"}}}}, "admin", false},
		{"declared and not stored", Config{Admins: []Admin{{Subjects: []string{"user:alice"}}}}, "admin", false},
	} {
		policy, err := Compile(test.config)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := NewSubjectSet([]string{"role:" + test.role})
		if got := s.Has(alice, policy); got != test.want || s.Has(robot, policy) {
			t.Errorf("stored roles, %s: %t, want %t", test.name, got, test.want)
		}
	}
	for _, wrong := range []string{"", "alice", "team:x", "user:", "claim:x"} {
		if _, err := NewSubjectSet([]string{wrong}); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

func TestRelevantKeepsWhatOthersNeed(t *testing.T) {
	p, err := Compile(Config{AuthenticatedRead: []Read{{Patterns: []string{"**"}}}})
	if err != nil {
		t.Fatal(err)
	}
	who := &authn.Principal{
		Kind: authn.KindUser, Name: "alice", Groups: []string{"a"}, Roles: []string{"r"},
		Claims: map[string]any{"email": "a@x.test", "other": "x", "nested": map[string]any{"id": "1", "more": "2"}},
	}
	if got := p.Relevant(who); len(got.Groups)+len(got.Roles)+len(got.Claims) != 0 {
		t.Errorf("without: %+v", got)
	}
	got := p.RelevantAnd(who, Keep{Groups: true, Roles: true, Claims: []string{"email", "nested.id", "missing"}})
	nested, _ := got.Claims["nested"].(map[string]any)
	if len(got.Groups) != 1 || len(got.Roles) != 1 || len(got.Claims) != 2 || got.Claims["email"] != "a@x.test" || len(nested) != 1 || nested["id"] != "1" {
		t.Errorf("with: %+v", got)
	}
}
