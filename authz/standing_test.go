package authz

import (
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestTokensFromBeforeADenyRule: they do not say whether their holder is one
// of those whom it names, so they are good for nothing and get no others.
func TestTokensFromBeforeADenyRule(t *testing.T) {
	p := mustCompile(t, Config{
		Admins:   []Admin{{Subjects: []string{"user:root"}}},
		Projects: []Project{{Name: "a", Patterns: []string{"a/**"}, Grants: []Grant{{Role: "maintainer", Subjects: []string{"authenticated"}}}, Denies: []Grant{{Actions: []string{"delete"}, Subjects: []string{"group:outside"}}}}},
	})
	for _, name := range []string{"alice", "root"} {
		old := user(name)
		old.Credential = authn.CredentialRegistryToken
		q := &Query{Type: TypeRepository, Repository: "a/x", Action: Pull}
		if d := p.Decide(old, q); d.Allowed || d.Missing != Pull || d.Rule == nil {
			t.Errorf("%s, before the rule: %+v", name, d)
		}
		old.Kept = p.kept
		if d := p.Decide(old, q); !d.Allowed {
			t.Errorf("%s, since the rule: %+v", name, d)
		}
	}
}

// TestReadOnlyStandsInTokensToo, for one project and for all.
func TestReadOnlyStandsInTokensToo(t *testing.T) {
	projects := []Project{
		{Name: "a", Patterns: []string{"a/**"}, Grants: []Grant{{Role: "maintainer", Subjects: []string{"user:alice"}}}},
		{Name: "r", Patterns: []string{"a/old/**"}, ReadOnly: true},
	}
	one, all := mustCompile(t, Config{Projects: projects}), mustCompile(t, Config{Projects: projects[:1], ReadOnly: true})
	for name, c := range map[string]struct {
		p          *Policy
		repository string
		writes     bool
	}{
		"elsewhere":                {one, "a/new/x", true},
		"in the project":           {one, "a/old/x", false},
		"everywhere":               {all, "a/new/x", false},
		"in no repository at all":  {one, "A//x", false},
		"in a repository of dots":  {one, "a/../a/new/x", false},
		"in one of another's name": {one, "b/x", false},
	} {
		q := &Query{Type: TypeRepository, Repository: c.repository}
		if got := c.p.Allowed(user("alice"), q); got.Has(Push) != c.writes || got.Has(Delete) != c.writes {
			t.Errorf("%s: allowed %q", name, got)
		}
		q.Action = Push
		if d := c.p.Decide(user("alice"), q); d.Allowed != c.writes {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if got := one.Allowed(user("alice"), &Query{Type: "plugin", Repository: "a/new/x"}); got != 0 {
		t.Errorf("of another type: %q", got)
	}
	if got := one.Allowed(user("alice"), &Query{Type: TypeRegistry, Repository: "a/new/x"}); got != 0 {
		t.Errorf("of the registry: %q", got)
	}
	everything := mustCompile(t, Config{Projects: []Project{{Name: "e", Patterns: []string{"**"}, Grants: []Grant{{Role: "project_admin", Subjects: []string{"user:alice"}}}}}})
	if got := everything.Allowed(user("alice"), &Query{Type: TypeRegistry, Repository: CatalogName}); got&^List != 0 {
		t.Errorf("of the catalog: %q", got)
	}
}

// TestDeletionIsAskedAboutWhereTagsDecide, and of nobody who may not delete.
func TestDeletionIsAskedAboutWhereTagsDecide(t *testing.T) {
	compile := func(grants, denies []Grant) *Policy {
		return mustCompile(t, Config{Admins: []Admin{{Subjects: []string{"user:root"}}}, Projects: []Project{{Name: "a", Patterns: []string{"a/**"}, Grants: grants, Denies: denies}}})
	}
	all := Grant{Actions: []string{"delete"}, Subjects: []string{"user:alice"}}
	some := Grant{Actions: []string{"delete"}, Subjects: []string{"user:alice"}, Tags: []string{"dev-*"}}
	release := Grant{Actions: []string{"delete"}, Subjects: []string{"authenticated"}, Tags: []string{"v*"}}
	never := Grant{Actions: []string{"delete"}, Subjects: []string{"authenticated"}}
	for name, c := range map[string]struct {
		p    *Policy
		who  string
		tags []string // nil: not known yet
		ok   bool
		ask  Ask
	}{
		"nobody asks":                        {compile([]Grant{all}, nil), "alice", nil, true, 0},
		"a deny rule for tags":               {compile([]Grant{all}, []Grant{release}), "alice", nil, false, AskTags},
		"of tags that it is not about":       {compile([]Grant{all}, []Grant{release}), "alice", []string{"dev-1"}, true, 0},
		"of some that it is about":           {compile([]Grant{all}, []Grant{release}), "alice", []string{"dev-1", "v1", "dev-2"}, false, 0},
		"of none":                            {compile([]Grant{all}, []Grant{release}), "alice", []string{}, true, 0},
		"of an administrator":                {compile([]Grant{all}, []Grant{release}), "root", nil, true, 0},
		"who may not delete":                 {compile([]Grant{all}, []Grant{release}), "bob", nil, false, 0},
		"who may delete some tags":           {compile([]Grant{some}, nil), "alice", nil, false, AskTags},
		"who may delete some, of one more":   {compile([]Grant{some}, nil), "alice", []string{"dev-1", "latest"}, false, 0},
		"who may delete some, of those":      {compile([]Grant{some}, nil), "alice", []string{"dev-1", "dev-2"}, true, 0},
		"who may delete some, of none":       {compile([]Grant{some}, nil), "alice", []string{}, false, 0},
		"both":                               {compile([]Grant{some}, []Grant{release}), "alice", nil, false, AskTags},
		"a deny rule for all":                {compile([]Grant{all}, []Grant{never}), "alice", nil, false, 0},
		"a deny rule for all, and one for v": {compile([]Grant{all}, []Grant{release, never}), "alice", nil, false, 0},
	} {
		d := c.p.Decide(user(c.who), &Query{Type: TypeRepository, Repository: "a/x", Action: Delete, Tags: c.tags})
		if d.Allowed != c.ok || d.Ask != c.ask {
			t.Errorf("%s: allowed %v, ask %v", name, d.Allowed, d.Ask)
		}
	}
}
