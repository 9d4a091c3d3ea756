package authz

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		inner, outer string
		want         bool
	}{
		{"team-a/app", "team-a/app", true},
		{"team-a/app", "team-a/*", true},
		{"team-a/app", "team-a/**", true},
		{"team-a/**", "team-a/**", true},
		{"team-a/**", "**", true},
		{"team-a/**", "team-*/**", true},
		{"team-a/*", "team-a/**", true},
		{"team-a/*/x", "team-a/**", true},
		{"**/app", "**", true},
		{"a/**/b", "a/**", true},
		{"a/**/b", "**/b", true},
		{"a/*/b", "a/**/b", true},
		{"a/b", "a/**/b", true},
		{"a/**/*", "a/**", true},
		{"a/**", "a/**/*", true},
		{"a-*-b", "a-*", true},
		{"a-*-b", "*-b", true},
		{"*", "**", true},

		{"team-a", "team-a/**", false},
		{"team-a/**", "team-a/*", false},
		{"**", "team-a/**", false},
		{"team-*/**", "team-a/**", false},
		{"team-a/**", "team-b/**", false},
		{"team-ab/**", "team-a/**", false},
		{"*/app", "team-a/*", false},
		{"a/**/b", "a/*/b", false},
		{"a/**/b", "a/**/c", false},
		{"**/app", "*/app", false},
		{"**/app", "team-a/**", false},
		{"a*", "a", false},
		{"a", "a*b", false},
		{"**", "*", false},
		{"**", "**/app", false},
		{"a/**", "a/**/b/**", false},
		{"{user}/**", "**", false},
		{"a/**", "{user}/**", false},
		{"", "**", false},
		{"A", "**", false},
	} {
		if got := Within(c.inner, c.outer); got != c.want {
			t.Errorf("Within(%q, %q) = %v", c.inner, c.outer, got)
		}
	}
}

// TestRelationsOfPatterns compares within and meets with what the patterns
// match among all short names.
func TestRelationsOfPatterns(t *testing.T) {
	names := shortNames()
	random := rand.New(rand.NewPCG(1, 2))
	var matches [][]bool
	var patterns []pattern
	for range 150 {
		p, err := parsePattern(randomPattern(random))
		if err != nil {
			continue
		}
		in := make([]bool, len(names))
		for i, n := range names {
			in[i] = matchPattern(p.text, n)
		}
		patterns, matches = append(patterns, p), append(matches, in)
	}
	missed, found := 0, 0
	for i, a := range patterns {
		for j, b := range patterns {
			within, meets := true, false
			for n := range names {
				within = within && (!matches[i][n] || matches[j][n])
				meets = meets || matches[i][n] && matches[j][n]
			}
			switch {
			case a.within(b) && !within:
				t.Fatalf("%q is not within %q", a.text, b.text)
			case meets && !a.meets(b):
				t.Fatalf("%q meets %q", a.text, b.text)
			case within && !a.within(b):
				missed++
			case within:
				found++
			}
		}
	}
	// Short names cannot tell all patterns apart, so some are expected.
	t.Logf("%d found to be within, %d not", found, missed)
	if found < 10*missed {
		t.Errorf("%d found to be within, %d not", found, missed)
	}
}

// shortNames are all names of up to four segments of up to two characters.
func shortNames() []string {
	segments := []string{"a", "b", "c", "aa", "ab", "ba", "bb", "ac", "cb"}
	var names, last []string
	last = []string{""}
	for range 4 {
		var next []string
		for _, n := range last {
			for _, s := range segments {
				next = append(next, strings.TrimPrefix(n+"/"+s, "/"))
			}
		}
		names, last = append(names, next...), next
	}
	return names
}

func randomPattern(r *rand.Rand) string {
	pieces := []string{"a", "b", "*", "**", "a*", "*b", "a*b", "**", "*a*"}
	var segments []string
	for range 1 + r.IntN(4) {
		segments = append(segments, pieces[r.IntN(len(pieces))])
	}
	return strings.Join(segments, "/")
}

func FuzzWithin(f *testing.F) {
	f.Add("a/**", "**/b", "a/x/b")
	f.Add("a*b/**/c", "a*/**", "ab/c")
	f.Fuzz(func(t *testing.T, inner, outer, name string) {
		if Within(inner, outer) && validRepository(name) && matchPattern(inner, name) && !matchPattern(outer, name) {
			t.Errorf("%q is not within %q: %q", inner, outer, name)
		}
	})
}
