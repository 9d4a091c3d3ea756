package authz

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// harborMatrix are the rows of Harbor's src/common/rbac/project/rbac_role.go
// that are about what a registry does, in Harbor's own words: create, read,
// update, delete, list. Columns: project admin, maintainer, developer, guest,
// limited guest, and anybody in a public project.
const harborMatrix = `
repository pull    | yes   | yes   | yes  | yes | yes | yes | pull
repository push    | yes   | yes   | yes  | -   | -   | -   | push
repository (mgmt)  | CRUDL | CRUDL | CRUL | RL  | RL  | L   | list:L delete:D
artifact           | CRDL  | CRDL  | CRL  | RL  | RL  | RL  | delete:D
tag                | CDL   | CDL   | CL   | L   | L   | L   | list:L push:C overwrite:C
robot              | CRUDL | RL    | RL   | RL  | -   | -   | manage:D
member             | CRUDL | RL    | RL   | RL  | -   | -   | manage:D
`

// TestHarborMatrix decides every cell of Harbor's matrix with an engine that
// has one member of each role.
func TestHarborMatrix(t *testing.T) {
	roles := []string{"project_admin", "maintainer", "developer", "guest", "limited_guest"}
	var grants []Grant
	for _, r := range roles {
		grants = append(grants, Grant{Role: r, Subjects: []string{"user:" + r}})
	}
	p := mustCompile(t, Config{
		Admins:        []Admin{{Subjects: []string{"user:sysadmin"}}},
		Projects:      []Project{{Patterns: []string{"library/**", "public/**"}, Grants: grants}},
		AnonymousRead: []Read{{Patterns: []string{"public/**"}}},
	})
	cells := 0
	for row := range strings.Lines(strings.TrimSpace(harborMatrix)) {
		columns := strings.Split(row, "|")
		last := len(columns) - 1
		for _, meaning := range strings.Fields(columns[last]) {
			name, letter, _ := strings.Cut(meaning, ":")
			action, err := ParseAction(name)
			if err != nil {
				t.Fatal(err)
			}
			for i, cell := range columns[1:last] {
				cells++
				cell = strings.TrimSpace(cell)
				want := cell == "yes" || letter != "" && strings.Contains(cell, letter)
				who, repository := (*authn.Principal)(nil), "public/app"
				if i < len(roles) {
					who, repository = user(roles[i]), "library/app"
				}
				q := Query{Repository: repository, Action: action, Tags: []string{}}
				if d := p.Decide(who, &q); d.Allowed != want {
					t.Errorf("%s: %s by %s: %v, Harbor says %q", strings.TrimSpace(columns[0]), action, who, d.Allowed, cell)
				}
				if !p.Decide(user("sysadmin"), &q).Allowed {
					t.Errorf("%s: %s by the system administrator", strings.TrimSpace(columns[0]), action)
				}
				if i < len(roles) && p.Decide(user("nobody"), &q).Allowed {
					t.Errorf("%s: %s by somebody else", strings.TrimSpace(columns[0]), action)
				}
			}
		}
	}
	if cells != 10*6 {
		t.Errorf("%d cells", cells)
	}
}

// TestApicurioDecisionOrder asks for everything that Apicurio's order of
// decisions tells apart: anonymous read, admin override, authenticated read,
// roles (of the token, then stored role mappings), owner-only with
// administrators exempt.
func TestApicurioDecisionOrder(t *testing.T) {
	config := Config{
		Admins: []Admin{
			{Subjects: []string{"role:sr-admin"}},
			{Subjects: []string{"claim:org-admin=true", "user:root"}},
			{Subjects: []string{"user:mapped-admin"}, Mapped: true},
		},
		AnonymousRead:     []Read{{Patterns: []string{"public/**"}}},
		AuthenticatedRead: []Read{{Patterns: []string{"**"}}},
		OwnerOnly:         []OwnerOnly{{By: "repository"}, {By: "namespace", Patterns: []string{"group/**"}}},
		RoleSources:       []string{"token", "application"},
		Projects: []Project{{Patterns: []string{"**"}, Grants: []Grant{
			{Role: "sr-developer", Subjects: []string{"role:sr-developer"}},
			{Role: "sr-readonly", Subjects: []string{"role:sr-readonly"}},
			{Role: "sr-developer", Subjects: []string{"user:mapped-developer", "workload:azp"}, Mapped: true},
			{Role: "sr-readonly", Subjects: []string{"user:mapped-reader"}, Mapped: true},
		}}},
	}
	facts := someFacts{owners: map[string]*Ownership{
		"repository/public/owned": {Principal: "user:ann"},
		"repository/owned":        {Principal: "user:ann"},
		"namespace/group":         {Principal: "user:ann"},
	}}
	ann := withRoles(user("ann"), "sr-developer")
	bo := withRoles(user("bo"), "sr-developer")
	workload := &authn.Principal{Kind: authn.KindWorkload, Name: "azp"}
	header := user("bo")
	header.HeaderRoles = []string{"sr-admin"}
	rows := []struct {
		who         *authn.Principal
		repository  string
		read, write bool
	}{
		// Anonymous: read where that is anonymous, else 401.
		{nil, "public/app", true, false},
		{nil, "app", false, false},
		// Admin override comes before roles and owners.
		{withRoles(user("x"), "sr-admin"), "owned", true, true},
		{withClaims(user("x"), map[string]any{"org-admin": true}), "owned", true, true},
		{withClaims(user("x"), map[string]any{"org-admin": "no"}), "owned", true, false},
		{user("root"), "group/app", true, true},
		{user("mapped-admin"), "owned", true, true},
		// Authenticated read: without any role.
		{user("x"), "app", true, false},
		{user("x"), "owned", true, false},
		// Roles, of a token and stored.
		{bo, "app", true, true},
		{withRoles(user("x"), "sr-readonly"), "app", true, false},
		{user("mapped-developer"), "app", true, true},
		{workload, "app", true, true},
		{user("mapped-reader"), "app", true, false},
		{header, "app", true, false}, // headers are no source here
		// Owner-only: writing only, nobody's is free, and needs a role first.
		{ann, "owned", true, true},
		{bo, "owned", true, false},
		{bo, "public/owned", true, false},
		{user("ann"), "owned", true, false},
		{ann, "group/any/thing", true, true},
		{bo, "group/any/thing", true, false},
		{user("mapped-developer"), "owned", true, false},
	}
	p := mustCompile(t, config).With(facts)
	for _, row := range rows {
		for action, want := range map[Action]bool{Pull: row.read, Push: row.write, Delete: row.write, Overwrite: row.write} {
			d := p.Decide(row.who, &Query{Repository: row.repository, Action: action, Tags: []string{}})
			if d.Allowed != want {
				t.Errorf("%s %s %s: %v, want %v (%s)", row.who, action, row.repository, d.Allowed, want, d.Reason())
			}
		}
	}
	// Role mappings count only where the application is a source of roles.
	config.RoleSources = []string{"token"}
	p = mustCompile(t, config).With(facts)
	for _, who := range []*authn.Principal{user("mapped-admin"), user("mapped-developer"), workload} {
		if p.Decide(who, &Query{Repository: "app", Action: Push}).Allowed {
			t.Errorf("%s by a role mapping that is no source", who)
		}
	}
}
