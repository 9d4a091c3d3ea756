package authz

import (
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestLacking: what a robot's name gets, who hands out its secret must hold.
func TestLacking(t *testing.T) {
	project := func(name string, grants ...Grant) Project {
		return Project{Name: name, Patterns: []string{name + "/**"}, Grants: grants}
	}
	grant := func(role string, c Conditions, subjects ...string) Grant {
		return Grant{Role: role, Subjects: subjects, Conditions: c}
	}
	always := Conditions{}
	office := Conditions{From: []string{"10.0.0.0/8"}}
	for name, c := range map[string]struct {
		rules Config
		lacks bool
	}{
		"nothing":                               {Config{}, false},
		"a rule for the robot":                  {Config{Projects: []Project{project("b", grant("guest", always, "robot:r"))}}, true},
		"one with conditions":                   {Config{Projects: []Project{project("b", grant("guest", office, "robot:r"))}}, true},
		"a shadow rule":                         {Config{Projects: []Project{project("b", Grant{Role: "guest", Subjects: []string{"robot:r"}, Shadow: true})}}, false},
		"what the maker has by another rule":    {Config{Projects: []Project{project("b", grant("guest", always, "robot:r"), grant("developer", always, "user:lead"))}}, false},
		"less than the robot":                   {Config{Projects: []Project{project("b", grant("developer", always, "robot:r"), grant("guest", always, "user:lead"))}}, true},
		"under conditions that the robot lacks": {Config{Projects: []Project{project("b", grant("guest", always, "robot:r"), grant("guest", office, "user:lead"))}}, true},
		"everybody, under conditions":           {Config{Projects: []Project{project("b", grant("developer", office, "authenticated"))}}, false},
		"one rule for both, under conditions":   {Config{Projects: []Project{project("b", grant("developer", office, "robot:r", "user:lead"))}}, false},
		"one rule for both, with tags":          {Config{Projects: []Project{project("b", Grant{Actions: []string{"push"}, Tags: []string{"dev-*"}, Subjects: []string{"robot:r", "user:lead"}})}}, false},
		"everybody, if it is a robot":           {Config{Projects: []Project{project("b", grant("guest", Conditions{When: `principal.kind == "robot"`}, "authenticated"))}}, true},
		"a deny rule for both": {Config{
			Projects: []Project{project("b", grant("developer", always, "authenticated"))},
			Denies:   []Grant{{Actions: []string{"push"}, Subjects: []string{"authenticated"}, Conditions: Conditions{Between: "20:00-06:00"}}},
		}, false},
		"a deny rule for the maker only": {Config{
			Projects: []Project{project("b", grant("developer", always, "authenticated"))},
			Denies:   []Grant{{Actions: []string{"push"}, Subjects: []string{"user:lead"}}},
		}, true},
		"a deny rule that takes it from the robot": {Config{
			Projects: []Project{project("b", grant("guest", always, "robot:r"))},
			Denies:   []Grant{{Actions: []string{"pull", "list"}, Subjects: []string{"robot:r"}}},
		}, false},
		"one that may not": {Config{
			Projects: []Project{project("b", grant("guest", always, "robot:r"))},
			Denies:   []Grant{{Actions: []string{"pull", "list"}, Subjects: []string{"robot:r"}, Conditions: office}},
		}, true},
		"an administrator":                  {Config{Admins: []Admin{{Subjects: []string{"robot:r"}}}}, true},
		"one under conditions":              {Config{Admins: []Admin{{Subjects: []string{"robot:r"}, Conditions: office}}}, true},
		"who is one makes one":              {Config{Admins: []Admin{{Subjects: []string{"robot:r"}}, {Subjects: []string{"user:lead"}}}}, false},
		"a stored role":                     {Config{Projects: []Project{{Name: "m", Patterns: []string{"**"}, Grants: []Grant{{Role: "guest", Subjects: []string{"robot:r"}, Mapped: true}}}}}, true},
		"a stored role that does not count": {Config{RoleSources: []string{"token"}, Projects: []Project{{Name: "m", Patterns: []string{"**"}, Grants: []Grant{{Role: "guest", Subjects: []string{"robot:r"}, Mapped: true}}}}}, false},
		"the maker's own stored role, which does not count": {Config{RoleSources: []string{"token"}, Projects: []Project{
			project("b", grant("guest", always, "robot:r"), Grant{Actions: []string{"manage"}, Subjects: []string{"user:lead"}}),
			{Name: "m", Patterns: []string{"**"}, Grants: []Grant{{Role: "guest", Subjects: []string{"user:lead"}, Mapped: true}}},
		}}, true},
	} {
		p := mustCompile(t, c.rules)
		lead := &authn.Principal{Kind: authn.KindUser, Name: "lead"}
		h := p.Holdings(lead, &Query{Time: time.Now()})
		if got := h.Lacking(&authn.Principal{Kind: authn.KindRobot, Name: "r"}); len(got) > 0 != c.lacks {
			t.Errorf("%s: lacks %v, want %v", name, got, c.lacks)
		}
	}
	// A limited token of an administrator is good for no more than its limits.
	p := mustCompile(t, Config{Admins: []Admin{{Subjects: []string{"user:lead"}}}, Projects: []Project{project("b", grant("guest", always, "robot:r"))}})
	for name, lacks := range map[string]bool{"a/**": true, "b/**": false} {
		lead := &authn.Principal{Kind: authn.KindUser, Name: "lead", Limits: []authn.Limit{{Type: TypeRepository, Name: name, Actions: []string{"pull"}}}}
		if got := p.Holdings(lead, &Query{}).Lacking(&authn.Principal{Kind: authn.KindRobot, Name: "r"}); len(got) > 0 != lacks {
			t.Errorf("limited to %s: lacks %v", name, got)
		}
	}
}

// TestMappedRolesThatDoNotCountAreNotHeld: roles come from the token, or from the
// first source that has some.
func TestMappedRolesThatDoNotCountAreNotHeld(t *testing.T) {
	carol := &authn.Principal{Kind: authn.KindUser, Name: "carol", Roles: []string{"r"}}
	for name, change := range map[string]func(*Config){
		"the token":               func(c *Config) { c.RoleSources = []string{"token"} },
		"the first that has some": func(c *Config) { c.RoleSources, c.FirstRoleSource = []string{"token", "application"}, true },
	} {
		cfg := Config{Projects: []Project{
			{Name: "team", Patterns: []string{"team/**"}, Grants: []Grant{
				{Actions: []string{"pull", "list", "manage"}, Subjects: []string{"user:carol"}},
				{Role: "guest", Subjects: []string{"role:r"}},
			}},
			{Name: "mapping", Patterns: []string{"**"}, Grants: []Grant{{Role: "maintainer", Subjects: []string{"user:carol"}, Mapped: true}}},
		}}
		change(&cfg)
		p := mustCompile(t, cfg)
		missing := p.Missing(carol, authn.Limit{Type: TypeRepository, Name: "team/**", Actions: []string{"push", "delete"}}, &Query{})
		if !missing.Has(Push | Delete) {
			t.Errorf("%s: missing %s", name, missing)
		}
		for _, c := range p.Concerning(carol) {
			if c.Rule.Role == "maintainer" {
				t.Errorf("%s: %s is said to concern her", name, c)
			}
		}
	}
}
