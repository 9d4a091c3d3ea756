package authz

import "testing"

func TestContested(t *testing.T) {
	everybody := []string{"authenticated"}
	for name, x := range map[string]struct {
		project           Project
		absence, deletion bool
	}{
		"who may push may overwrite": {Project{Grants: []Grant{{Role: "developer", Subjects: everybody}}}, false, false},
		"some may only push":         {Project{Grants: []Grant{{Actions: []string{"pull", "push"}, Subjects: everybody}}}, true, false},
		"overwriting is denied":      {Project{Denies: []Grant{{Actions: []string{"overwrite"}, Subjects: everybody}}}, true, false},
		"it depends on the action": {Project{Grants: []Grant{{
			Role: "developer", Subjects: everybody, Conditions: Conditions{When: `request.action != "overwrite"`},
		}}}, true, false},
		"immutable":                        {Project{Immutable: []Immutable{{Tags: []string{"v*"}}}}, true, true},
		"another tag is immutable":         {Project{Immutable: []Immutable{{Tags: []string{"x*"}}}}, false, false},
		"deletions of some tags":           {Project{Grants: []Grant{{Actions: []string{"delete"}, Tags: []string{"tmp-*"}, Subjects: everybody}}}, false, true},
		"a rule that is not in force":      {Project{Grants: []Grant{{Actions: []string{"push"}, Subjects: everybody, Shadow: true}}}, false, false},
		"where only somebody's rules hold": {Project{Patterns: []string{"team/{user}"}, Grants: []Grant{{Actions: []string{"push"}, Subjects: everybody}}}, true, false},
	} {
		if x.project.Patterns == nil {
			x.project.Patterns = []string{"team/**"}
		}
		p := mustCompile(t, Config{Projects: []Project{x.project}})
		if absence, deletion := p.Contested("team/app", "v1"); absence != x.absence || deletion != x.deletion {
			t.Errorf("%s: %v %v", name, absence, deletion)
		}
		if absence, deletion := p.Contested("other/app", "v1"); absence || deletion {
			t.Errorf("%s: in another repository", name)
		}
	}
	p := mustCompile(t, Config{Admins: []Admin{{Subjects: []string{"user:x"}, Conditions: Conditions{When: `request.action == "push"`}}}})
	if absence, _ := p.Contested("any/app", "v1"); !absence {
		t.Error("administrators who may only make new tags")
	}
	if p := mustCompile(t, Config{CreatorRoles: []CreatorRole{{Role: "developer"}}}); p != nil {
		if absence, _ := p.Contested("any/app", "v1"); absence {
			t.Error("creators who may overwrite")
		}
	}
}
