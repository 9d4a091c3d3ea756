package authz

import (
	"slices"
	"testing"
)

func TestRestrictions(t *testing.T) {
	tests := map[string]struct {
		grant Grant
		want  []string
	}{
		"none": {Grant{Role: "developer"}, nil},
		"tags": {Grant{Role: "developer", Tags: []string{"dev-*", "pr-*"}}, []string{"tags dev-* pr-*"}},
		"all": {
			Grant{Role: "developer", Conditions: Conditions{
				When: `claims.ref == "main"`, From: []string{"10.0.0.0/8", "192.0.2.1"}, Until: "2030-01-31", Between: "08:00-18:00 Mon-Fri",
			}},
			[]string{"from 10.0.0.0/8 192.0.2.1", "until 2030-01-31", "between 08:00-18:00 Mon-Fri", "when `claims.ref == \"main\"`"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.grant.Subjects = []string{"group:dev"}
			p, err := Compile(Config{Projects: []Project{{Patterns: []string{"a/**"}, Grants: []Grant{test.grant}}}})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Rules()[0].Restrictions(); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
