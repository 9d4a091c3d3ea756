package authz

import (
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestUnreadGroupsGiveNothing: a deny rule may be about groups that the
// credential does not tell; a grant is not, so nothing of it is handed on.
func TestUnreadGroupsGiveNothing(t *testing.T) {
	p := mustCompile(t, Config{Projects: []Project{{
		Name: "a", Patterns: []string{"a/**"},
		Grants: []Grant{{Role: "maintainer", Subjects: []string{"group:dev"}}},
		Denies: []Grant{{Actions: []string{"delete"}, Subjects: []string{"group:dev"}}},
	}}})
	unread := user("alice")
	unread.GroupsUnread = true
	if got := p.Missing(unread, onRepository("a/x", "pull"), &Query{Time: time.Now()}); got != Pull|List {
		t.Errorf("missing %q", got)
	}
	if got := p.Missing(user("alice", "dev"), onRepository("a/x", "pull"), &Query{Time: time.Now()}); got != 0 {
		t.Errorf("a member misses %q", got)
	}
}

// TestTheCatalogIsListedOnly: who may list it and is no administrator hands on
// no more.
func TestTheCatalogIsListedOnly(t *testing.T) {
	all := authn.Limit{Type: TypeRegistry, Name: CatalogName, Actions: []string{"*"}}
	own, err := NewPermissions("robot:ci", []authn.Limit{all})
	if err != nil {
		t.Fatal(err)
	}
	p := mustCompile(t, Config{Admins: []Admin{{Subjects: []string{"user:root"}}}}).With(someFacts{permissions: map[string]*Permissions{"robot:ci": own}})
	for who, want := range map[*authn.Principal]Action{robot("ci"): AllActions &^ (Pull | List), user("root"): 0, user("alice"): AllActions} {
		if got := p.Missing(who, all, &Query{Time: time.Now()}); got != want {
			t.Errorf("%s: missing %q, want %q", who, got, want)
		}
	}
}

func TestTypesHaveAClass(t *testing.T) {
	for text, want := range map[string]string{
		"": TypeRepository, "repository": "repository", "repository(plugin)": "repository", "(plugin)": "(plugin)", "repository(plugin": "repository(plugin",
		"repository)": "repository)", "registry": "registry",
	} {
		if got := resourceType(text); got != want {
			t.Errorf("%q is of type %q", text, got)
		}
	}
}

// TestPermissionsAreOfTheirType: a repository that is called as the catalog is
// another thing, and a filtered catalog shows what is permitted.
func TestPermissionsAreOfTheirType(t *testing.T) {
	facts := someFacts{permissions: map[string]*Permissions{}}
	for name, l := range map[string]authn.Limit{
		"robot:catalog": {Type: TypeRegistry, Name: CatalogName, Actions: []string{"*"}},
		"robot:pulls":   onRepository("**", "pull"),
		"robot:pushes":  onRepository("catalog", "delete"),
		"robot:one":     onRepository("one", "pull"),
	} {
		own, err := NewPermissions(name, []authn.Limit{l})
		if err != nil {
			t.Fatal(err)
		}
		facts.permissions[name] = own
	}
	plain, filtered := mustCompile(t, Config{}).With(facts), mustCompile(t, Config{Catalog: "filtered"}).With(facts)
	catalog := Query{Type: TypeRegistry, Repository: CatalogName, Action: List}
	for _, test := range []struct {
		policy *Policy
		who    string
		q      Query
		want   bool
	}{
		{plain, "catalog", catalog, true},
		{plain, "catalog", Query{Repository: "catalog", Action: Pull}, false},
		{plain, "pulls", Query{Repository: "catalog", Action: Pull}, true},
		{plain, "pulls", catalog, false},
		{filtered, "pulls", catalog, true},
		{filtered, "pushes", catalog, false},
		{filtered, "pushes", Query{Repository: "x", Action: List}, false},
		{filtered, "pulls", Query{Repository: "x", Action: Push}, false},
		{filtered, "nobody", catalog, false},
		{filtered, "one", catalog, true},
		{filtered, "one", Query{Repository: "one", Action: List}, true},
		{filtered, "one", Query{Repository: "two", Action: List}, false},
	} {
		if got := test.policy.Decide(robot(test.who), &test.q); got.Allowed != test.want {
			t.Errorf("%s: %+v: %v", test.who, test.q, got.Allowed)
		}
	}
	for _, wrong := range []authn.Limit{
		{Type: TypeRegistry, Name: "x", Actions: []string{"*"}},
		{Type: "plugin", Name: "a", Actions: []string{"pull"}},
		onRepository("a"), onRepository("a", "psuh"), onRepository("A//", "pull"),
	} {
		if _, err := NewPermissions("robot:x", []authn.Limit{wrong}); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}

// TestDeniedInItsOwnPlace is denied nowhere else.
func TestDeniedInItsOwnPlace(t *testing.T) {
	for name, c := range map[string]struct {
		grants, denies string
		when           Conditions
		lacks          bool
	}{
		"its own place":               {"b/r/**", "b/{user}/**", Conditions{}, true},
		"somebody else's":             {"b/x/**", "b/{user}/**", Conditions{}, true},
		"everywhere":                  {"b/x/**", "b/*/**", Conditions{}, false},
		"for requests from somewhere": {"b/x/**", "c/**", Conditions{When: `request.ip == "10.0.0.1"`}, false},
		"for itself":                  {"b/x/**", "c/**", Conditions{When: `principal.name == "r"`}, true},
	} {
		p := mustCompile(t, Config{Projects: []Project{
			{Name: "b", Patterns: []string{c.grants}, Grants: []Grant{{Role: "guest", Subjects: []string{"robot:r"}}}},
			{Name: "d", Patterns: []string{c.denies}, Denies: []Grant{{Actions: []string{"pull", "list"}, Subjects: []string{"robot:r"}}}},
		}})
		if c.when.When != "" {
			p = mustCompile(t, Config{Projects: []Project{{Name: "b", Patterns: []string{c.grants}, Grants: []Grant{{Role: "guest", Subjects: []string{"authenticated"}, Conditions: c.when}}}}})
		}
		if got := p.Holdings(user("lead"), &Query{Time: time.Now()}).Lacking(robot("r")); len(got) > 0 != c.lacks {
			t.Errorf("%s: lacks %v", name, got)
		}
	}
}

// TestOwnersMatterWhereRulesLook at them: the rest need not be recorded.
func TestOwnersMatterWhereRulesLook(t *testing.T) {
	p := mustCompile(t, Config{
		OwnerOnly:    []OwnerOnly{{By: "repository", Patterns: []string{"one/**"}}, {By: "namespace", Patterns: []string{"ns/**"}}},
		CreatorRoles: []CreatorRole{{Role: "maintainer", Patterns: []string{"made/*"}}},
	})
	for _, test := range []struct {
		by   OwnedBy
		name string
		want bool
	}{
		{OwnedRepository, "one/app", true},
		{OwnedRepository, "ns/app", false},
		{OwnedRepository, "made/app", true},
		{OwnedRepository, "x/app", false},
		{OwnedNamespace, "one", false},
		{OwnedNamespace, "ns", true},
		{OwnedNamespace, "made", false},
		{OwnedNamespace, "n", false},
		{OwnedRepository, "A//", true},
	} {
		if got := p.OwnersMatter(test.by, test.name); got != test.want {
			t.Errorf("%s %s: %v", test.by, test.name, got)
		}
	}
	for name, want := range map[string]struct {
		by      []OwnedBy
		creator bool
	}{
		"one/app": {[]OwnedBy{OwnedRepository}, false}, "ns/app": {[]OwnedBy{OwnedNamespace}, false}, "made/app": {[]OwnedBy{OwnedRepository}, true}, "x/app": {},
	} {
		by, creator := p.Owned(name)
		if len(by) != len(want.by) || len(by) > 0 && by[0] != want.by[0] || creator != want.creator {
			t.Errorf("%s: %v %v, want %+v", name, by, creator, want)
		}
	}
}

func TestCreatorsAreOfPatterns(t *testing.T) {
	for _, c := range []Config{
		{CreatorRoles: []CreatorRole{{Role: "maintainer", Patterns: []string{"A//"}}}},
		{CreatorRoles: []CreatorRole{{Role: "maintainer", Patterns: []string{"{user}/**"}}}},
		{OwnerOnly: []OwnerOnly{{By: "repository", Patterns: []string{"A//"}}}},
	} {
		if _, err := Compile(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
