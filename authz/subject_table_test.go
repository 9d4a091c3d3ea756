package authz

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func pulls(t *testing.T, who *authn.Principal, subjects ...string) bool {
	t.Helper()
	p := mustCompile(t, Config{Projects: []Project{{Patterns: []string{"a"}, Grants: []Grant{{Actions: []string{"pull"}, Subjects: subjects}}}}})
	return p.Decide(who, &Query{Repository: "a", Action: Pull}).Allowed
}

// TestWhoSomebodyIs by claims, many groups, and a kind that nobody knows.
func TestWhoSomebodyIs(t *testing.T) {
	claims := user("alice")
	claims.Claims = map[string]any{
		"a": "x", "n": 7.0, "i": 8, "l": int64(9), "j": json.Number("10"), "yes": true, "list": []any{"m", []any{"nested"}, 3.0}, "texts": []string{"s"}, "object": map[string]any{"k": "v"},
	}
	strange := &authn.Principal{Kind: "strange", Name: "alice", Groups: []string{"g"}, Roles: []string{"r"}}
	for _, test := range []struct {
		who     *authn.Principal
		subject string
		want    bool
	}{
		{claims, "claim:a=x", true},
		{claims, "claim:b=x", false},
		{claims, "claim:a=y", false},
		{claims, "claim:n=7", true},
		{claims, "claim:i=8", true},
		{claims, "claim:l=9", true},
		{claims, "claim:j=10", true},
		{claims, "claim:yes=true", true},
		{claims, "claim:list=m", true},
		{claims, "claim:list=nested", false},
		{claims, "claim:list=3", true},
		{claims, "claim:texts=s", true},
		{claims, "claim:object=v", false},
		{claims, "claim:object.k=v", true},
		{strange, "anyone", true},
		{strange, "authenticated", false},
		{strange, "user:alice", false},
		{strange, "group:g", false},
		{strange, "role:r", false},
	} {
		if got := pulls(t, test.who, test.subject, "claim:other=x", "claim:b=z"); got != test.want {
			t.Errorf("%s is %s: %v", test.who, test.subject, got)
		}
	}
	for _, wrong := range []string{"claim:=x", "claim:a=", "claim:a", "claim:", "user:", "admin", "anyon", "", ":x", "us:x"} {
		if _, _, err := ParseSubject(wrong); err == nil {
			t.Errorf("%q is a subject", wrong)
		}
	}
	// Many subjects are searched for in another way than few.
	var groups, subjects []string
	for i := range 3 * manyIDs {
		groups = append(groups, fmt.Sprint("g", i))
		subjects = append(subjects, fmt.Sprint("group:g", 3*manyIDs-1-i))
	}
	for n := range groups {
		member := user("bob", groups[:n+1]...)
		member.Roles = []string{"lead"}
		for _, test := range []struct {
			of   []string
			want bool
		}{{subjects, true}, {subjects[:3*manyIDs-1-n], false}, {append(slices.Clone(subjects[:3*manyIDs-1-n]), "role:lead"), true}, {[]string{subjects[3*manyIDs-1-n]}, true}} {
			// The other subjects are mentioned somewhere else.
			p := mustCompile(t, Config{Projects: []Project{
				{Patterns: []string{"b"}, Grants: []Grant{{Actions: []string{"pull"}, Subjects: subjects}}},
				{Patterns: []string{"a"}, Grants: []Grant{{Actions: []string{"pull"}, Subjects: append([]string{"user:nobody"}, test.of...)}}},
			}})
			if got := p.Decide(member, &Query{Repository: "a", Action: Pull}).Allowed; got != test.want {
				t.Fatalf("%d groups, %d subjects: %v", n+1, len(test.of), got)
			}
		}
	}
}

// TestSubjectSetsNeed what they look at, beside what is kept already.
func TestSubjectSetsNeed(t *testing.T) {
	for _, test := range []struct {
		subjects []string
		keep     Keep
		want     string
	}{
		{nil, Keep{}, "{false false []}"},
		{[]string{"user:a"}, Keep{}, "{false false []}"},
		{[]string{"group:a"}, Keep{}, "{true false []}"},
		{[]string{"role:a", "claim:x=y"}, Keep{Claims: []string{"z"}}, "{false true [z x]}"},
		{nil, Keep{Groups: true, Roles: true}, "{true true []}"},
	} {
		s, err := NewSubjectSet(test.subjects)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.Needs(test.keep)); got != test.want {
			t.Errorf("%v: %s, want %s", test.subjects, got, test.want)
		}
	}
	s, err := NewSubjectSet([]string{"group:b", "group:a", "group:b", "x:y"})
	if err == nil || !strings.Contains(err.Error(), "x") {
		t.Errorf("got %v", err)
	}
	p := mustCompile(t, Config{})
	if !s.Has(user("x", "a"), p) || !s.Has(user("x", "b"), p) || s.Has(user("x", "c"), p) || s.Has(authn.Anonymous, p) {
		t.Error("another set")
	}
}

// TestTokensKeepWhatExpressionsLookAt, and what tells which deny rules were in
// force when they were issued.
func TestTokensKeepWhatExpressionsLookAt(t *testing.T) {
	who := user("alice", "dev", "ops")
	who.Roles = []string{"lead"}
	who.Claims = map[string]any{"a": "1", "b": map[string]any{"c": "2", "d": "3"}, "e.f": "4", "g": "5"}
	rule := func(when string, subjects ...string) Config {
		return Config{Projects: []Project{{Patterns: []string{"p"}, Grants: []Grant{{Actions: []string{"pull"}, Subjects: append(subjects, "authenticated"), Conditions: Conditions{When: when}}}}}}
	}
	for name, test := range map[string]struct {
		rules Config
		want  string
	}{
		"nothing":    {rule(""), "[] [] map[]"},
		"groups":     {rule(`"x" in principal.groups`), "[dev ops] [] map[]"},
		"roles":      {rule(`"x" in principal.roles`), "[] [lead] map[]"},
		"a claim":    {rule(`claims.a == "1" && claims["g"] == claims["none"]`), "[] [] map[a:1 g:5]"},
		"all claims": {rule(`claims[request.tag] == "1"`), "[] [] map[a:1 b:map[c:2 d:3] e.f:4 g:5]"},
		"subjects":   {rule("", "group:ops", "role:lead", "claim:b.c=2", "claim:b.d=2", "claim:e.f=4", "claim:b.x=1", "claim:a.x=1"), "[ops] [lead] map[b:map[c:2 d:3] e.f:4]"},
	} {
		out := mustCompile(t, test.rules).Relevant(who)
		if got := fmt.Sprint(out.Groups, out.Roles, out.Claims); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	denies := mustCompile(t, Config{Denies: []Grant{{Actions: []string{"push"}, Subjects: []string{"group:dev"}}}})
	if out := denies.Relevant(who); out.Kept == "" || out.Kept != denies.kept || denies.Relevant(nil) != nil {
		t.Errorf("kept %q", out.Kept)
	}
	if out := denies.RelevantAnd(who, Keep{Groups: true, Roles: true, Claims: []string{"g"}}); fmt.Sprint(out.Groups, out.Roles, out.Claims) != "[dev ops] [lead] map[g:5]" {
		t.Errorf("with what others keep: %+v", out)
	}
	robots := robot("ci")
	if out := denies.Relevant(robots); out.Claims != nil {
		t.Errorf("a robot has claims: %+v", out)
	}
}
