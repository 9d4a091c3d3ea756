package authz

import (
	"regexp"
	"strings"
	"testing"
)

var (
	nameGrammar  = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	scopeGrammar = regexp.MustCompile(`(?s)^([^:]*?)(\([a-z0-9]+\))?:(.*):([^:]*)$`)
)

// naiveScopes reads scopes by regular expression.
func naiveScopes(values []string) []Access {
	var list []Access
	for _, v := range values {
		for _, one := range strings.Split(v, " ") {
			m := scopeGrammar.FindStringSubmatch(one)
			if one == "" || m == nil {
				continue
			}
			a := Access{Type: m[1], Name: m[3]}
			switch a.Type {
			case "repository":
				if nameGrammar.MatchString(a.Name) && len(a.Name) <= 255 {
					for _, w := range strings.Split(m[4], ",") {
						switch w {
						case "pull":
							a.Actions |= Pull
						case "push":
							a.Actions |= Push
						case "delete":
							a.Actions |= Delete
						case "*":
							a.Actions |= AllActions
						}
					}
				}
			case "registry":
				if a.Name == "catalog" && m[4] == "*" {
					a.Actions = AllActions
				}
			default:
				continue
			}
			found := false
			for i := range list {
				if list[i].Type == a.Type && list[i].Name == a.Name {
					list[i].Actions |= a.Actions
					found = true
				}
			}
			if !found {
				list = append(list, a)
			}
		}
	}
	return list
}

// TestRandomScopes holds scopes to their grammar, written as regular expressions.
func TestRandomScopes(t *testing.T) {
	r, more := random(t)
	pieces := []string{"repository", "registry", "(plugin)", "()", "(x", ":", ":", ":", "pull", "push", ",", "delete", "*", "a", "a/b", "team-a/app", "host:5000/x", "..", "__", "___", "A", " ", "  ", "/", "catalog", "\t", "é", "-", ".", "a--b", "a.b", "a..b", "_", "repository:a/b:pull", "repository(plugin):a:pull,push", "registry:catalog:*"}
	n, accesses := 0, 0
	for more() {
		var values []string
		for range 1 + r.IntN(3) {
			v := ""
			for range r.IntN(9) {
				v += pieces[r.IntN(len(pieces))]
			}
			values = append(values, v)
		}
		n++
		got, err := ParseScopes(values)
		if err != nil {
			t.Fatal(err)
		}
		want := naiveScopes(values)
		if len(got) != len(want) {
			t.Fatalf("%q: %v, want %v", values, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%q: %v, want %v", values, got, want)
			}
		}
		accesses += len(got)
		again, err := ParseScopes([]string{FormatScopes(got)})
		if err != nil {
			t.Fatal(err)
		}
		j := 0
		for _, a := range got {
			if len(a.ScopeActions()) == 0 {
				continue
			}
			if j >= len(again) || again[j].Name != a.Name || again[j].Actions&(Pull|Push|Delete) != a.Actions&(Pull|Push|Delete) {
				t.Fatalf("%q does not come back: %v", FormatScopes(got), again)
			}
			j++
		}
	}
	t.Log(n, "values,", accesses, "accesses")
}

// TestRandomNames holds names to the grammar of the distribution specification.
func TestRandomNames(t *testing.T) {
	r, more := random(t)
	n, valid := 0, 0
	for more() {
		b := make([]byte, r.IntN(9))
		for i := range b {
			b[i] = "ab0._-/A "[r.IntN(9)]
		}
		s := string(b)
		n++
		if want := nameGrammar.MatchString(s); ValidName(s) != want {
			t.Fatalf("%q: %v, want %v", s, !want, want)
		} else if want {
			valid++
			if !validRepository(s) {
				t.Fatalf("%q is valid and the policy does not know it", s)
			}
		}
	}
	t.Log(n, valid)
}
