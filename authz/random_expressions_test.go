package authz

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestRandomExpressions: nothing panics over random expressions and claims, and what a token carries
// of a principal decides as the principal does, for grants and for denies.
func TestRandomExpressions(t *testing.T) {
	r, more := random(t)
	pick := func(l ...string) string { return l[r.IntN(len(l))] }
	var boolean, value func(d int) string
	value = func(d int) string {
		if d <= 0 {
			return pick("claims.x", "claims['x']", "claims.y", "claims.x.z", "claims['x'].z", "claims.y['z']", "'a'", "7", "true", "principal.name", "principal.groups", "claims", "request.action", "null", "dyn(claims)")
		}
		switch r.IntN(8) {
		case 0:
			return "(" + boolean(d-1) + " ? " + value(d-1) + " : " + value(d-1) + ")"
		case 1:
			return "[" + value(d-1) + ", " + value(d-1) + "][0]"
		case 2:
			return "dyn({'k': " + value(d-1) + "}).k"
		case 3:
			return "claims[" + value(d-1) + "]"
		case 4:
			return "dyn([claims])[0].x"
		}
		return value(0)
	}
	boolean = func(d int) string {
		if d <= 0 {
			return pick("has(claims.x)", "has(claims.x.z)", "'x' in claims", "claims.x == 'a'", "claims['y'] == 7", "claims.x.z == true", "size(claims) > 1", "'dev' in principal.groups", "claims.exists(k, k == 'y')", "claims.all(k, claims[k] == 'a')", "request.action == 'push'", "type(claims.x) == string", "principal.roles.exists(claims, claims == 'r')", "[{'x': 'a'}].exists(claims, claims.x == 'a')", "claims.x.exists(e, e == 'a')", "claims.x.startsWith('a')", "string(claims.y) == '7'")
		}
		switch r.IntN(7) {
		case 0:
			return "(" + boolean(d-1) + " && " + boolean(d-1) + ")"
		case 1:
			return "(" + boolean(d-1) + " || " + boolean(d-1) + ")"
		case 2:
			return "!" + boolean(d-1)
		case 3:
			return "(" + value(d-1) + " == " + value(d-1) + ")"
		case 4:
			return "[" + value(d-1) + "].exists(" + pick("c", "claims", "x") + ", " + boolean(d-1) + ")"
		case 5:
			return "(" + value(d-1) + " in [" + value(d-1) + "])"
		}
		return boolean(0)
	}
	leaf := func() any {
		return []any{"a", "7", 7.0, true, nil, []any{"a", 7.0, nil}, map[string]any{"z": true}, map[string]any{"z": "a", "q": nil}, ""}[r.IntN(9)]
	}
	tried, compiled, decisions, allowed := 0, 0, 0, 0
	for more() {
		tried++
		text := boolean(r.IntN(4))
		cfg := Config{Projects: []Project{{Name: "x", Patterns: []string{"**"}, Grants: []Grant{{Actions: []string{"*"}, Subjects: []string{"anyone"}}}}}}
		if r.IntN(2) == 0 {
			cfg.Projects[0].Grants[0].When = text
		} else {
			cfg.Projects[0].Denies = []Grant{{Actions: []string{"push", "pull"}, Subjects: []string{"anyone"}, Conditions: Conditions{When: text}}}
		}
		policy, err := Compile(cfg)
		if err != nil {
			continue
		}
		compiled++
		for range 12 {
			p := &authn.Principal{Kind: authn.KindUser, Name: pick("x", "y", "n"), Claims: map[string]any{}}
			for _, g := range []string{"dev", "x", "ops"} {
				if r.IntN(2) == 0 {
					p.Groups = append(p.Groups, g)
				}
			}
			if r.IntN(2) == 0 {
				p.Roles = []string{"r"}
			}
			for _, k := range []string{"x", "y", "a", "secret"} {
				if r.IntN(2) == 0 {
					p.Claims[k] = leaf()
				}
			}
			q := &Query{Repository: "a/b", Action: []Action{Pull, Push, List}[r.IntN(3)], Time: time.Now(), Absent: true, Tag: "t"}
			decisions++
			got := policy.Decide(p, q)
			if got.Allowed {
				allowed++
			}
			if again := policy.Decide(policy.Relevant(p), q); again.Allowed != got.Allowed {
				t.Fatalf("when %s (%+v)\nprincipal %+v %v\nrelevant %v %v\n%v, and of the token %v", text, cfg.Projects[0], p, p.Claims, policy.Relevant(p).Claims, policy.Relevant(p).Groups, got.Allowed, again.Allowed)
			}
			if got.Allowed && !policy.Allowed(p, &Query{Repository: "a/b", Time: q.Time}).Has(q.Action) {
				t.Fatalf("when %s: the token has less", text)
			}
			_ = policy.Explain(p, q)
		}
	}
	t.Log(fmt.Sprint(tried, " expressions, ", compiled, " compiled, ", decisions, " decisions, ", allowed, " allowed"))
}
