package authz

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func genPattern(r *rand.Rand, alphabet string, wild bool) string {
	n := 1 + r.IntN(4)
	var segs []string
	for range n {
		switch k := r.IntN(10); {
		case k < 2 && wild:
			if len(segs) > 0 && segs[len(segs)-1] == "**" {
				segs = append(segs, "*")
			} else {
				segs = append(segs, "**")
			}
		case k < 4 && wild:
			segs = append(segs, "*")
		default:
			s := ""
			for range 1 + r.IntN(3) {
				if wild && r.IntN(3) == 0 {
					if !strings.HasSuffix(s, "*") {
						s += "*"
					}
				} else {
					s += string(alphabet[r.IntN(len(alphabet))])
				}
			}
			segs = append(segs, s)
		}
	}
	return strings.Join(segs, "/")
}

// allNames are names over "ab" of up to 3 segments of up to 3 characters, plus some random longer
func allNames() []string {
	var segs []string
	for _, a := range []string{"", "a", "b"} {
		for _, b := range []string{"a", "b"} {
			segs = append(segs, a+b)
		}
	}
	segs = append(segs, "aab", "aba", "bab", "abb")
	var names []string
	for _, x := range segs {
		names = append(names, x)
		for _, y := range segs {
			names = append(names, x+"/"+y)
			for _, z := range segs {
				names = append(names, x+"/"+y+"/"+z)
			}
		}
	}
	return names
}

// TestRandomPatterns holds matching, containing and meeting of patterns to a naive
// matcher over many names.
func TestRandomPatterns(t *testing.T) {
	r, more := random(t)
	names := allNames()
	pairs, yes, missed, meets, overMeet := 0, 0, 0, 0, 0
	missedSample := map[string]bool{}
	for more() {
		a, b := genPattern(r, "ab", true), genPattern(r, "ab", true)
		pa, ea := parsePattern(a)
		pb, eb := parsePattern(b)
		if ea != nil || eb != nil {
			continue
		}
		pairs++
		in, both, out := 0, 0, 0
		for _, n := range names {
			ma := matchPattern(a, n)
			if ma != segmentsMatch(pa.segments, strings.Split(n, "/")) {
				t.Fatalf("matchPattern %q %q: %v", a, n, ma)
			}
			if ma {
				in++
				if matchPattern(b, n) {
					both++
				} else {
					out++
				}
			}
		}
		within := pa.within(pb)
		if within {
			yes++
			if out > 0 {
				t.Fatalf("%q within %q is said, and is not", a, b)
			}
		} else if out == 0 && in > 0 {
			missed++
			if len(missedSample) < 8 {
				missedSample[a+" in "+b] = true
			}
		}
		m := pa.meets(pb)
		if m {
			meets++
			if both == 0 {
				overMeet++
			}
		} else if both > 0 {
			t.Fatalf("%q meets %q is denied, and they do", a, b)
		}
		if pb.meets(pa) != m {
			t.Fatalf("meets is not symmetric: %q %q", a, b)
		}
	}
	t.Logf("%d pairs on %d names each: within yes %d, perhaps missed %d (names are bounded) %v; meets %d, without a common short name %d", pairs, len(names), yes, missed, missedSample, meets, overMeet)
}

// segmentsMatch is a naive matcher.
func segmentsMatch(ps []segment, ns []string) bool {
	if len(ps) == 0 {
		return len(ns) == 0
	}
	if ps[0].deep() {
		if len(ps) == 1 {
			return len(ns) >= 1
		}
		for i := 0; i <= len(ns); i++ {
			if segmentsMatch(ps[1:], ns[i:]) {
				return true
			}
		}
		return false
	}
	return len(ns) > 0 && globMatch(ps[0].text, ns[0]) && segmentsMatch(ps[1:], ns[1:])
}

func globMatch(g, s string) bool {
	if g == "" {
		return s == ""
	}
	if g[0] == '*' {
		for i := 0; i <= len(s); i++ {
			if globMatch(g[1:], s[i:]) {
				return true
			}
		}
		return false
	}
	return s != "" && g[0] == s[0] && globMatch(g[1:], s[1:])
}
