package authz

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// someFacts are facts for tests.
type someFacts struct {
	owners      map[string]*Ownership
	permissions map[string]*Permissions
}

func (f someFacts) Owner(by OwnedBy, name string) *Ownership { return f.owners[by.String()+"/"+name] }

func (f someFacts) Permissions(p *authn.Principal) *Permissions {
	return f.permissions[p.String()]
}

func TestOwnerOnly(t *testing.T) {
	alice := &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://idp", Subject: "1"}
	renamed := &authn.Principal{Kind: authn.KindUser, Name: "alicia", Issuer: "https://idp", Subject: "1"}
	impostor := &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://idp", Subject: "2"}
	bob := &authn.Principal{Kind: authn.KindUser, Name: "bob"}
	root := &authn.Principal{Kind: authn.KindUser, Name: "root"}
	p, err := Compile(Config{
		Admins: []Admin{{Subjects: []string{"user:root"}}},
		Projects: []Project{{Patterns: []string{"**"}, Grants: []Grant{
			{Role: "developer", Subjects: []string{"authenticated"}}, {Role: "guest", Subjects: []string{"anyone"}},
		}}},
		OwnerOnly: []OwnerOnly{
			{By: "repository", Patterns: []string{"one/**"}, Source: "Caddyfile:7"},
			{By: "namespace", Patterns: []string{"ns/**"}},
		},
		CreatorRoles: []CreatorRole{{Role: "maintainer", Patterns: []string{"one/*"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p = p.With(someFacts{owners: map[string]*Ownership{
		"repository/one/app":  {Principal: "user:alice", Identity: alice.Identity().ID(), Created: true},
		"repository/one/old":  {Principal: "user:alice", Identity: alice.Identity().ID()},
		"repository/one/name": {Principal: "user:bob"},
		"repository/free/app": {Principal: "user:alice", Identity: alice.Identity().ID()},
		"namespace/ns":        {Principal: "user:alice", Identity: alice.Identity().ID()},
	}})
	for _, test := range []struct {
		who    *authn.Principal
		action Action
		on     string
		want   bool
	}{
		{alice, Push | Overwrite, "one/app", true},
		{renamed, Push, "one/app", true},
		{impostor, Push, "one/app", false},
		{bob, Push, "one/app", false},
		{bob, Overwrite, "one/app", false},
		{bob, Pull | List, "one/app", true},
		{authn.Anonymous, Pull, "one/app", true},
		{authn.Anonymous, Push, "one/app", false},
		{root, Push | Delete, "one/app", true},
		{bob, Push, "one/new", true},
		{bob, Push, "one/name", true},
		{alice, Push, "one/name", false},
		{bob, Push, "free/app", true},
		{alice, Push, "ns/x/y", true},
		{bob, Push, "ns/x/y", false},
		{bob, Pull, "ns/x/y", true},
		{bob, Push, "ns", true}, // ns/** is what is below
		// What the creator may beyond the others, also of a repository that
		// was there before its owner came.
		{alice, Delete, "one/app", true},
		{bob, Delete, "one/name", false},
		{alice, Delete, "one/old", false},
	} {
		d := p.Decide(test.who, &Query{Repository: test.on, Action: test.action, Tags: []string{}})
		if d.Allowed != test.want {
			t.Errorf("%s %s %s: %v, want %v (%s)", test.who, test.action, test.on, d.Allowed, test.want, d.Reason())
		}
		allowed := p.Allowed(test.who, &Query{Repository: test.on})
		if allowed.Has(test.action) != test.want {
			t.Errorf("a token for %s on %s: %s, want %s: %v", test.who, test.on, allowed, test.action, test.want)
		}
	}
	d := p.Decide(bob, &Query{Repository: "one/app", Action: Push})
	if reason := d.Reason(); !strings.Contains(reason, "owner_only repository one/**") || !strings.Contains(reason, "Caddyfile:7") {
		t.Errorf("reason %q", reason)
	}
	x := p.Explain(bob, &Query{Repository: "one/app", Action: Push})
	if len(x.Would) == 0 || !strings.Contains(x.Would[0], "owner") {
		t.Errorf("what would allow it: %q", x.Would)
	}
}

func TestOwnerErrors(t *testing.T) {
	for want, config := range map[string]Config{
		`did you mean "repository"`: {OwnerOnly: []OwnerOnly{{By: "repositry"}}},
		"placeholder":               {OwnerOnly: []OwnerOnly{{By: "namespace", Patterns: []string{"{user}/**"}}}},
		`did you mean "maintainer"`: {CreatorRoles: []CreatorRole{{Role: "maintaner"}}},
		"no role":                   {CreatorRoles: []CreatorRole{{}}},
		`did you mean "header"`:     {RoleSources: []string{"heador"}},
		"given twice":               {RoleSources: []string{"token", "token"}},
	} {
		if _, err := Compile(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestPermissions(t *testing.T) {
	permissions, err := NewPermissions("robot:ci", []authn.Limit{
		{Type: "repository", Name: "team/*", Actions: []string{"pull", "push"}},
		{Type: "repository", Name: "team/x/**", Actions: []string{"pull"}},
		{Type: "registry", Name: "catalog", Actions: []string{"*"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(Config{
		Projects: []Project{{Patterns: []string{"team/**"}, Immutable: []Immutable{{Tags: []string{"v*"}}}}},
		Denies:   []Grant{{Actions: []string{"push"}, Subjects: []string{"robot:ci"}, Tags: []string{"prod"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p = p.With(someFacts{permissions: map[string]*Permissions{"robot:ci": permissions}})
	ci := &authn.Principal{Kind: authn.KindRobot, Name: "ci"}
	other := &authn.Principal{Kind: authn.KindRobot, Name: "other"}
	limited := &authn.Principal{Kind: authn.KindRobot, Name: "ci", Limits: []authn.Limit{{Type: "repository", Name: "team/b", Actions: []string{"pull"}}}}
	for _, test := range []struct {
		who   *authn.Principal
		query Query
		want  bool
	}{
		{ci, Query{Repository: "team/a", Action: Pull}, true},
		{ci, Query{Repository: "team/a", Action: Push, Tag: "dev"}, true},
		{ci, Query{Repository: "team/a", Action: Push, Tag: "prod"}, false},
		{ci, Query{Repository: "team/a", Action: Push, Tag: "v1"}, false},
		{ci, Query{Repository: "team/a", Action: Push, Tag: "v1", Absent: true}, true},
		{ci, Query{Repository: "team/a", Action: Delete, Tag: "dev"}, false},
		{ci, Query{Repository: "team/x/y", Action: Pull}, true},
		{ci, Query{Repository: "team/x/y", Action: Push}, false},
		{ci, Query{Repository: "other/a", Action: Pull}, false},
		{ci, Query{Type: "registry", Repository: "catalog", Action: List}, true},
		{other, Query{Repository: "team/a", Action: Pull}, false},
		{limited, Query{Repository: "team/a", Action: Pull}, false},
		{limited, Query{Repository: "team/b", Action: Pull}, true},
	} {
		if d := p.Decide(test.who, &test.query); d.Allowed != test.want {
			t.Errorf("%s %s %s:%s: %v, want %v (%s)", test.who, test.query.Action, test.query.Repository, test.query.Tag, d.Allowed, test.want, d.Reason())
		}
	}
	if got := p.Allowed(ci, &Query{Repository: "team/a"}); got != Pull|List|Push|Overwrite {
		t.Errorf("a token allows %s", got)
	}
	for want, list := range map[string]authn.Limit{
		"placeholder":         {Type: "repository", Name: "{user}/**", Actions: []string{"pull"}},
		"no actions":          {Type: "repository", Name: "a"},
		`did you mean "push"`: {Type: "repository", Name: "a", Actions: []string{"psh"}},
		"catalog":             {Type: "registry", Name: "x", Actions: []string{"list"}},
		"repository or":       {Type: "plugin", Name: "x", Actions: []string{"list"}},
	} {
		if _, err := NewPermissions("robot:ci", []authn.Limit{list}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestRoleSources(t *testing.T) {
	token := &authn.Principal{Kind: authn.KindUser, Name: "alice", Roles: []string{"reader"}}
	mapped := &authn.Principal{Kind: authn.KindUser, Name: "bob"}
	both := &authn.Principal{Kind: authn.KindUser, Name: "bob", Roles: []string{"reader", "unknown"}}
	useless := &authn.Principal{Kind: authn.KindUser, Name: "bob", Roles: []string{"unknown"}}
	header := &authn.Principal{Kind: authn.KindUser, Name: "bob", HeaderRoles: []string{"admin"}}
	for _, test := range []struct {
		sources string
		first   bool
		who     *authn.Principal
		want    Action
	}{
		{"", false, token, Pull | List},
		{"", false, mapped, Push},
		{"", false, both, Pull | List | Push},
		{"", false, header, Push | Delete},
		{"token", false, both, Pull | List},
		{"token", false, header, 0},
		{"application", false, both, Push},
		{"header token", false, both, Pull | List},
		{"token application", true, both, Pull | List},
		{"application token", true, both, Push},
		{"token application", true, useless, Push},
		{"header application token", true, header, Delete},
		{"application header", true, header, Push},
	} {
		p, err := Compile(Config{
			RoleSources: strings.Fields(test.sources), FirstRoleSource: test.first,
			Projects: []Project{{Patterns: []string{"**"}, Grants: []Grant{
				{Role: "guest", Subjects: []string{"role:reader"}},
				{Actions: []string{"delete"}, Subjects: []string{"role:admin"}},
				{Actions: []string{"push"}, Subjects: []string{"user:bob"}, Mapped: true},
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Allowed(test.who, &Query{Repository: "a/b"}); got != test.want {
			t.Errorf("%q first %v: %s with roles %q may %s, want %s", test.sources, test.first, test.who, test.who.Roles, got, test.want)
		}
		// A registry token carries what is relevant: it must decide alike.
		if got := p.Allowed(p.Relevant(test.who), &Query{Repository: "a/b"}); got != test.want {
			t.Errorf("%q first %v: by a token %s may %s, want %s", test.sources, test.first, test.who, got, test.want)
		}
	}
}
