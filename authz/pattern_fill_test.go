package authz

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func TestCharactersOfNames(t *testing.T) {
	for s, want := range map[string]bool{
		"09az_-": true, "a.b": true, ".a": true, "a.": true, "a..b": false, "": false, "/": false, ":": false, "`": false, "{": false, "~": false, "é": false,
		"*": false, "A": false, "@": false, "a/b": false,
	} {
		if nameCharacters(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
	for name, want := range map[string]partKind{"user": partUser, "groups": partGroups, "claims.a": partClaim, "username": partLiteral, "claims.": partLiteral, "claim.abcd": partLiteral, "": partLiteral} {
		if got, err := parsePlaceholder(name); got.kind != want || (err != nil) != (want == partLiteral) {
			t.Errorf("{%s}: %v, %v", name, got, err)
		}
	}
	if _, err := parsePattern(strings.Repeat("a", maxPattern)); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"", strings.Repeat("a", maxPattern+1), "a\xff", "a\xffb/**", "{claims.a\xff}"} {
		if _, err := parsePattern(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// TestPlacesAreFilled for whoever has what the placeholders stand for, and for
// nobody else.
func TestPlacesAreFilled(t *testing.T) {
	alice := user("alice", "dev", "a/b", "ops")
	alice.Claims = map[string]any{"dept": "blue", "sub": map[string]any{"x": "y"}, "n": 7.0}
	for _, test := range []struct {
		pattern string
		who     *authn.Principal
		want    []string // a repository for each pattern that it is filled to
	}{
		{"a/*", alice, []string{"a/x"}},
		{"a/*", authn.Anonymous, []string{"a/x"}},
		{"a/*", nil, []string{"a/x"}},
		{"{user}/**", alice, []string{"alice/x/y"}},
		{"{user}/**", robot("alice"), nil},
		{"{user}/**", authn.Anonymous, nil},
		{"{user}-*/x", alice, []string{"alice-1/x"}},
		{"**/{user}", alice, []string{"a/b/alice"}},
		{"{groups}/**", alice, []string{"dev/x", "ops/x"}},
		{"{groups}/**", user("bob"), nil},
		{"{claims.dept}/{user}", alice, []string{"blue/alice"}},
		{"{claims.sub.x}/*", alice, []string{"y/x"}},
		{"{claims.sub}/*", alice, nil},
		{"{claims.n}/*", alice, nil},
		{"{claims.none}/*", alice, nil},
	} {
		p, err := parsePattern(test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		filled := p.filled(test.who)
		if len(filled) != len(test.want) {
			t.Errorf("%s for %s: %d patterns, want %q", test.pattern, test.who, len(filled), test.want)
			continue
		}
		for i, name := range test.want {
			inner, err := parsePattern(name)
			if err != nil {
				t.Fatal(err)
			}
			if !inner.within(filled[i]) {
				t.Errorf("%s for %s: %s is not in %+v", test.pattern, test.who, name, filled[i])
			}
			if other, _ := parsePattern("zzz/zzz/zzz"); other.within(filled[i]) {
				t.Errorf("%s for %s: everything is in %+v", test.pattern, test.who, filled[i])
			}
		}
	}
}
