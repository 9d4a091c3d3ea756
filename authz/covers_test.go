package authz

import (
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func TestMissing(t *testing.T) {
	p, err := Compile(Config{
		Admins: []Admin{{Subjects: []string{"user:root"}}, {Subjects: []string{"user:office"}, Conditions: Conditions{From: []string{"10.0.0.0/8"}}}},
		Projects: []Project{
			{Name: "a", Patterns: []string{"a/**"}, Grants: []Grant{
				{Role: "project_admin", Subjects: []string{"user:alice"}},
				{Role: "developer", Subjects: []string{"group:dev"}, Conditions: Conditions{Until: "2030-01-01"}},
				{Actions: []string{"push"}, Subjects: []string{"user:tagger"}, Tags: []string{"dev-*"}},
			}, Denies: []Grant{{Actions: []string{"delete"}, Subjects: []string{"user:alice"}, Conditions: Conditions{From: []string{"192.0.2.0/24"}}}}},
			{Name: "a-secret", Patterns: []string{"a/secret/*"}, Denies: []Grant{{Actions: []string{"pull"}, Subjects: []string{"group:outside"}}}},
			{Name: "own", Patterns: []string{"home/{user}/**"}, Grants: []Grant{{Role: "project_admin", Subjects: []string{"authenticated"}}}},
			{Name: "groups", Patterns: []string{"g/{groups}/**"}, Grants: []Grant{{Role: "guest", Subjects: []string{"authenticated"}}}},
			{Name: "shadow", Patterns: []string{"s/**"}, Grants: []Grant{{Actions: []string{"pull"}, Subjects: []string{"user:alice"}, Shadow: true}}},
		},
		AnonymousRead: []Read{{Patterns: []string{"public/**"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	user := func(name string, groups ...string) *authn.Principal {
		return &authn.Principal{Kind: authn.KindUser, Name: name, Groups: groups}
	}
	limited := func(p *authn.Principal, l ...authn.Limit) *authn.Principal {
		p.Limits = append([]authn.Limit{}, l...)
		return p
	}
	repository := func(name string, actions ...string) authn.Limit {
		return authn.Limit{Type: TypeRepository, Name: name, Actions: actions}
	}
	inOffice := Query{Remote: netip.MustParseAddr("10.1.2.3"), Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, c := range []struct {
		name string
		who  *authn.Principal
		what authn.Limit
		want Action
	}{
		{"an administrator holds everything", user("root"), repository("**", "*"), 0},
		{"an administrator of the office, from there", user("office"), repository("**", "*"), 0},
		{"an administrator's limited token does not", limited(user("root"), repository("a/**", "pull")), repository("**", "pull"), Pull | List},
		{"within its limits it does", limited(user("root"), repository("a/**", "pull")), repository("a/x/**", "pull"), 0},
		{"no limits at all are none", limited(user("root")), repository("a/x", "pull"), Pull | List},
		{"a part of what is held", user("alice"), repository("a/x/**", "pull", "push", "manage"), 0},
		{"more than is held", user("alice"), repository("**", "pull"), Pull | List},
		{"a sibling", user("alice"), repository("ab/**", "pull"), Pull | List},
		{"a deny rule, whatever its condition", user("alice"), repository("a/**", "delete"), Delete},
		{"a deny rule on a part", user("alice", "outside"), repository("a/**", "pull"), Pull},
		{"a deny rule elsewhere", user("alice", "outside"), repository("a/open/*", "pull"), 0},
		{"a deny rule that may meet", user("alice", "outside"), repository("a/*/x", "pull"), Pull},
		{"a condition is not certain", user("carol", "dev"), repository("a/**", "pull"), Pull | List},
		{"a grant for some tags is not certain", user("tagger"), repository("a/**", "push"), Push | Overwrite},
		{"shadow rules give nothing", user("alice"), repository("s/**", "pull"), Pull | List},
		{"the user's own place", user("bob"), repository("home/bob/**", "push"), 0},
		{"somebody else's", user("bob"), repository("home/alice/**", "push"), Push | Overwrite},
		{"everybody's", user("bob"), repository("home/*/**", "push"), Push | Overwrite},
		{"a name that is no name", user("*"), repository("home/*/**", "push"), Push | Overwrite},
		{"each group's", user("bob", "x", "y"), repository("g/y/**", "pull"), 0},
		{"no group of theirs", user("bob", "x"), repository("g/y/**", "pull"), Pull | List},
		{"what all may read", user("bob"), repository("public/**", "pull"), 0},
		{"placeholders", user("root"), repository("{user}/**", "pull"), Pull | List},
		{"no pattern", user("root"), repository("A//b", "pull"), Pull | List},
		{"another type", user("root"), authn.Limit{Type: "plugin", Name: "a", Actions: []string{"pull"}}, Pull | List},
		{"the catalog", user("alice"), authn.Limit{Type: TypeRegistry, Name: CatalogName, Actions: []string{"pull"}}, Pull | List},
		{"the catalog, of an administrator", user("root"), authn.Limit{Type: TypeRegistry, Name: CatalogName, Actions: []string{"*"}}, 0},
		{"nobody", authn.Anonymous, repository("a/**", "pull"), Pull | List},
		{"nobody, of what all may read", authn.Anonymous, repository("public/x", "pull"), 0},
	} {
		if got := p.Missing(c.who, c.what, &inOffice); got != c.want {
			t.Errorf("%s: missing %q, want %q", c.name, got, c.want)
		}
	}
	outside := inOffice
	outside.Remote = netip.MustParseAddr("198.51.100.1")
	if p.IsAdmin(user("office"), &outside) || p.IsAdmin(user("alice"), &inOffice) || !p.IsAdmin(user("root"), &outside) {
		t.Error("administrators")
	}
}
