package authz

import (
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestOnlyDenyRulesHoldUnread: and of those only the ones that are about what
// the credential does not tell.
func TestOnlyDenyRulesHoldUnread(t *testing.T) {
	noGroups := user("alice")
	noGroups.GroupsUnread = true
	noHeaders := user("alice")
	noHeaders.HeaderRolesUnread = true
	deny := func(shadow bool, subjects ...string) Grant {
		return Grant{Actions: []string{"push"}, Subjects: subjects, Shadow: shadow}
	}
	for name, test := range map[string]struct {
		who     *authn.Principal
		pattern string
		sources []string
		rules   []Grant // deny rules, but the last
		want    bool
	}{
		"a rule about somebody else":            {noGroups, "a/**", nil, []Grant{deny(false, "user:bob"), deny(true, "group:x")}, true},
		"a rule about a group":                  {noGroups, "a/**", nil, []Grant{deny(false, "user:bob"), deny(false, "group:x")}, false},
		"a shadow rule about a group":           {noGroups, "a/**", nil, []Grant{deny(true, "group:x")}, true},
		"a shadow rule at places of groups":     {noGroups, "a/{groups}/**", nil, []Grant{deny(true, "authenticated")}, true},
		"a rule at places of groups":            {noGroups, "a/{groups}/**", nil, []Grant{deny(false, "authenticated")}, false},
		"roles of headers":                      {noHeaders, "a/**", nil, []Grant{deny(false, "role:x")}, false},
		"roles of headers, which do not count":  {noHeaders, "a/**", []string{"token"}, []Grant{deny(false, "role:x")}, true},
		"roles of headers, which only count":    {noHeaders, "a/**", []string{"header"}, []Grant{deny(false, "role:x")}, false},
		"several rules, of which the last does": {noGroups, "a/**", nil, []Grant{deny(false, "user:bob"), deny(false, "user:carol"), deny(false, "group:x", "group:x")}, false},
	} {
		p := mustCompile(t, Config{RoleSources: test.sources, Projects: []Project{
			{Name: "all", Patterns: []string{"a/**"}, Grants: []Grant{{Actions: []string{"push"}, Subjects: []string{"authenticated"}}, {Actions: []string{"pull"}, Subjects: []string{"group:x"}}}},
			{Name: "d", Patterns: []string{test.pattern}, Denies: test.rules},
			{Name: "home", Patterns: []string{"a/{groups}/x/**"}, Grants: []Grant{{Actions: []string{"push"}, Subjects: []string{"authenticated"}}}},
		}})
		if d := p.Decide(test.who, &Query{Repository: "a/b/x/y", Action: Push, Absent: true}); d.Allowed != test.want {
			t.Errorf("%s: %v by %v", name, d.Allowed, d.Rule)
		}
		if got := p.Allowed(test.who, &Query{Repository: "a/b/x/y"}); got.Has(Push) != test.want || got.Has(Pull) {
			t.Errorf("%s: a token allows %q", name, got)
		}
	}
}

func TestDigitsAndTargets(t *testing.T) {
	for c := range 256 {
		want := byte(255)
		for i, digit := range "0123456789abcdef" {
			if byte(c) == byte(digit) || byte(c)|0x20 == byte(digit) && digit >= 'a' && c >= 'A' {
				want = byte(i)
			}
		}
		if got := unhex(byte(c)); got != want && (want != 255 || got <= 15) {
			t.Errorf("%q is %d, want %d", rune(c), got, want)
		}
	}
	for raw, want := range map[string]bool{
		"a=%20": true, "a=%7E": true, "a=~": true, "a=%7f": false, "a=%1f": false, "a=%zz": false, "a=%2z": false, "a=%z2": false, "a=%": false, "a=%2": false, "a=%22": true,
		"a=%2225": true, "a b": false, "a\x7f": false, "a;b": false, "a#b": false, "a=%:1": false, "a=%3@": false, "a=%f0": true, "a=%/1": false, "a=%3`": false, "a=%3g": false, "a=%3G": false,
	} {
		if wellFormed(raw) != want {
			t.Errorf("%q: %v", raw, !want)
		}
	}
	base := &Request{Route: RouteBase}
	if base.Target() != (Access{}) || base.Accesses() != nil || base.Action() != 0 || base.Tag() != "" {
		t.Errorf("the base is %+v", base.Target())
	}
	if got := Route(200).String(); got != "unknown" {
		t.Errorf("a route that is none: %s", got)
	}
	var a Action
	if err := a.UnmarshalText([]byte("pull, push")); err != nil || a != Pull|Push {
		t.Errorf("%q, %v", a, err)
	}
	if err := a.UnmarshalText([]byte("pull,psuh")); err == nil {
		t.Errorf("%q", a)
	}
	for source, want := range map[string]bool{"token": true, "header": false} {
		if (&Config{RoleSources: []string{"token"}}).HasRoleSource(source) != want || !(&Config{}).HasRoleSource(source) {
			t.Errorf("source %s: %v", source, !want)
		}
	}
}
