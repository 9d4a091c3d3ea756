package authz

import (
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestTagsOfRules: what a rule with tags gives or takes of a request that names
// a tag, none, or a digest whose tags are not known.
func TestTagsOfRules(t *testing.T) {
	give := func(actions []string, tags ...string) Config {
		return Config{Projects: []Project{{Patterns: []string{"a"}, Grants: []Grant{{Actions: actions, Subjects: []string{"anyone"}, Tags: tags}}}}}
	}
	take := func(actions []string, tags ...string) Config {
		c := give([]string{"pull", "push", "overwrite", "delete"})
		c.Projects[0].Denies = []Grant{{Actions: actions, Subjects: []string{"anyone"}, Tags: tags}}
		return c
	}
	push, remove := []string{"push", "overwrite"}, []string{"delete"}
	for name, test := range map[string]struct {
		rules Config
		q     Query
		want  bool
		ask   Ask
	}{
		"given, its tag":               {give(push, "dev-*"), Query{Action: Push, Tag: "dev-1"}, true, AskNothing},
		"given, another tag":           {give(push, "dev-*"), Query{Action: Push, Tag: "v1"}, false, AskNothing},
		"given, a blob":                {give(push, "dev-*"), Query{Action: Push}, true, AskNothing},
		"given, one of two tags":       {give(push, "dev-*"), Query{Action: Push, Tags: []string{"dev-1", "v1"}}, false, AskNothing},
		"given, both tags":             {give(push, "dev-*"), Query{Action: Push, Tags: []string{"dev-1", "dev-2"}}, true, AskNothing},
		"given, a digest":              {give(remove, "dev-*"), Query{Action: Delete}, false, AskTags},
		"given, a digest without":      {give(remove, "*"), Query{Action: Delete, Tags: []string{}}, false, AskNothing},
		"given, a digest with":         {give(remove, "dev-*"), Query{Action: Delete, Tags: []string{"dev-1"}}, true, AskNothing},
		"given, another action":        {give(push, "dev-*"), Query{Action: Delete}, false, AskNothing},
		"taken, its tag":               {take(push, "v*"), Query{Action: Push, Tag: "v1"}, false, AskNothing},
		"taken, another tag":           {take(push, "v*"), Query{Action: Push, Tag: "dev"}, true, AskNothing},
		"taken, a blob":                {take(push, "v*"), Query{Action: Push}, true, AskNothing},
		"taken, every tag, a blob":     {take(push, "*"), Query{Action: Push}, true, AskNothing},
		"taken, a digest":              {take(remove, "v*"), Query{Action: Delete}, false, AskTags},
		"taken, a digest without":      {take(remove, "v*"), Query{Action: Delete, Tags: []string{}}, true, AskNothing},
		"taken, a digest with":         {take(remove, "v*"), Query{Action: Delete, Tags: []string{"x", "v1"}}, false, AskNothing},
		"taken of pushes, a digest":    {take(push, "v*"), Query{Action: Delete}, true, AskNothing},
		"taken of pushes, of a digest": {take(push, "v*"), Query{Action: Push | Delete, Tags: []string{}}, true, AskNothing},
	} {
		test.q.Repository = "a"
		d := mustCompile(t, test.rules).Decide(authn.Anonymous, &test.q)
		if d.Allowed != test.want || d.Ask != test.ask {
			t.Errorf("%s: allowed %v, ask %d; want %v, %d", name, d.Allowed, d.Ask, test.want, test.ask)
		}
	}
}

// TestConditionsOfAnAction give nothing else, whatever they hold of.
func TestConditionsOfAnAction(t *testing.T) {
	rule := func(when string, actions ...string) *Policy {
		return mustCompile(t, Config{Projects: []Project{{Patterns: []string{"a"}, Grants: []Grant{{Actions: actions, Subjects: []string{"anyone"}, Conditions: Conditions{When: when}}}}}})
	}
	all := []string{"pull", "push", "delete", "overwrite", "list", "manage"}
	for _, action := range all {
		one, _ := ParseAction(action)
		for name, p := range map[string]*Policy{"its own": rule(`request.action == "`+action+`"`, all...), "of one": rule(`request.action != ""`, action)} {
			for a := Pull; a <= Manage; a <<= 1 {
				if got := p.Decide(authn.Anonymous, &Query{Repository: "a", Action: a, Tags: []string{}, Absent: true}).Allowed; got != (a == one) {
					t.Errorf("%s, %s: %s is allowed: %v", action, name, a, got)
				}
			}
			if got := p.Allowed(authn.Anonymous, &Query{Repository: "a"}); got != one {
				t.Errorf("%s, %s: a token allows %q", action, name, got)
			}
		}
	}
	// An administrator stands above nothing by a rule that is about something else.
	p := mustCompile(t, Config{
		Admins: []Admin{{Subjects: []string{"user:root"}, Override: []string{"immutable", "read_only"}, Conditions: Conditions{When: `request.action == "pull"`}}},
		Projects: []Project{
			{Patterns: []string{"a"}, Immutable: []Immutable{{Tags: []string{"v*"}}}, Grants: []Grant{{Role: "maintainer", Subjects: []string{"user:root"}}}},
			{Patterns: []string{"b"}, ReadOnly: true, Grants: []Grant{{Role: "maintainer", Subjects: []string{"user:root"}}}},
		},
	})
	for repository, tag := range map[string]string{"a": "v1", "b": "x"} {
		if p.Decide(user("root"), &Query{Repository: repository, Action: Overwrite, Tag: tag}).Allowed {
			t.Errorf("%s:%s was moved", repository, tag)
		}
		if !p.Decide(user("root"), &Query{Repository: repository, Action: Pull, Tag: tag}).Allowed {
			t.Errorf("%s:%s was not pulled", repository, tag)
		}
	}
}

// TestManyRulesInOnePlace: each is found for its subject, and for no other.
func TestManyRulesInOnePlace(t *testing.T) {
	var grants, denies []Grant
	for _, name := range []string{"a", "b", "c", "a", "b", "c", "d"} {
		grants = append(grants, Grant{Actions: []string{[]string{"pull", "push"}[len(grants)/3%2]}, Subjects: []string{"user:" + name}})
		denies = append(denies, Grant{Actions: []string{"delete"}, Subjects: []string{"user:x" + name}, Shadow: name == "d"})
	}
	grants = append(grants, Grant{Role: "maintainer", Subjects: []string{"group:all"}})
	p := mustCompile(t, Config{Projects: []Project{{Patterns: []string{"p"}, Grants: grants, Denies: denies}}, Admins: []Admin{
		{Subjects: []string{"user:r1"}}, {Subjects: []string{"user:r2"}}, {Subjects: []string{"user:r3"}}, {Subjects: []string{"user:r4"}}, {Subjects: []string{"user:r5"}},
	}})
	for who, want := range map[*authn.Principal]Action{
		user("a"): Pull | Push, user("b"): Pull | Push, user("c"): Pull | Push, user("d"): Pull, user("e"): 0, user("r1"): AllActions, user("r5"): AllActions,
		user("xa", "all"): builtinRoles["maintainer"] &^ Delete, user("xd", "all"): builtinRoles["maintainer"], user("z", "all"): builtinRoles["maintainer"],
	} {
		if got := p.Allowed(who, &Query{Repository: "p"}); got != want {
			t.Errorf("%s: %q, want %q", who, got, want)
		}
	}
}

// TestPlacesAreFound in whatever way their patterns are kept.
func TestPlacesAreFound(t *testing.T) {
	patterns := []string{
		"a/**/b", "a/**/c/**", "x*", "*y", "x*y", "xx*", "*yy", "*m*", "pre-*/z", "*-suf/z", "**/deep", "l1", "l2", "l3/x", "l3/y", "*/star", "**/q/**/r", "a/*/b",
	}
	var projects []Project
	for _, text := range patterns {
		projects = append(projects, Project{Patterns: []string{text}, Grants: []Grant{{Actions: []string{"pull"}, Subjects: []string{"user:" + text}}}})
	}
	p := mustCompile(t, Config{Projects: projects})
	for _, name := range []string{
		"a/b", "a/1/b", "a/1/2/b", "a/1/2/3/b", "a/c", "a/c/1", "a/1/c/1/2", "x", "y", "xy", "xx", "yy", "xxyy", "m", "ama", "z", "pre-/z", "pre-1/z", "1-suf/z", "pre-suf/z",
		"deep", "1/deep", "1/2/3/deep", "l1", "l2", "l3", "l3/x", "l3/y", "l3/z", "1/star", "star", "q/r", "1/q/2/r", "q/q/r", "q/r/r", "r", "1/2/star", "a", "p",
	} {
		for _, text := range patterns {
			inner, err := parsePattern(name)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := p.Decide(user(text), &Query{Repository: name, Action: Pull}).Allowed, matchPattern(text, name); got != want || want != Within(inner.text, text) {
				t.Errorf("%s at %s: %v, want %v", text, name, got, want)
			}
		}
	}
}
