package authz

import (
	"math/rand/v2"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestRandomHoldings: what may be handed on is had: on every name that the permission is about, with
// every tag, now. (No owners, read-only or immutable rules: they are no rights.)
func TestRandomHoldings(t *testing.T) {
	segs := []string{"a", "b", "a-b", "a-x-b", "x-a", "g-a", "ab", "x-b", "c"}
	var names []string
	for _, x := range segs {
		names = append(names, x)
		for _, y := range segs {
			names = append(names, x+"/"+y)
		}
	}
	r, more := random(t)
	base := r.Uint64()
	for range 400 {
		names = append(names, segs[r.IntN(9)]+"/"+segs[r.IntN(9)]+"/"+segs[r.IntN(9)])
		names = append(names, segs[r.IntN(9)]+"/"+segs[r.IntN(9)]+"/"+segs[r.IntN(9)]+"/"+segs[r.IntN(9)])
	}
	policies, asked, held, checks, beyond := 0, 0, 0, 0, 0
	for more() {
		policies++
		d := dice{rand.New(rand.NewPCG(base, uint64(policies)))}
		cfg := d.config()
		cfg.ReadOnly, cfg.OwnerOnly, cfg.CreatorRoles = false, nil, nil
		for i := range cfg.Projects {
			cfg.Projects[i].ReadOnly, cfg.Projects[i].Immutable = false, nil
		}
		policy, err := Compile(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if d.chance(60) {
			f := d.facts()
			f.owners = map[string]*Ownership{}
			policy = policy.With(f)
		}
		for range 12 {
			p := d.principal()
			if p == nil {
				continue
			}
			h := policy.Holdings(p, &Query{})
			for range 4 {
				l := authn.Limit{Type: "repository", Name: d.pick("a", "a/**", "**", "*/b", "**/b/**", "a/*/b", "b/*", "x-*/**", "a*/b", "*", "*/*", "**/a", "a-*-b"), Actions: d.some(3, "pull", "push", "delete", "list", "manage", "overwrite")}
				want := TokenActions(l.Actions...)
				have := want &^ h.Missing(l)
				asked++
				if have == 0 {
					continue
				}
				held++
				for _, n := range names {
					if !matchPattern(l.Name, n) {
						continue
					}
					for a := Pull; a <= Manage; a <<= 1 {
						if !have.Has(a) {
							continue
						}
						for _, tag := range []string{"", "v1", "dev-1", "x"} {
							q := &Query{Repository: n, Action: a, Tag: tag, Tags: []string{}, Absent: true}
							checks++
							if got := policy.Decide(p, q); !got.Allowed && got.Ask == AskNothing {
								t.Fatalf("config %+v\nprincipal %+v\nmay hand on %v of %+v, and may not %v on %s:%s (%s)", cfg, p, have, l, a, n, tag, got.Reason())
							}
						}
					}
				}
			}
			// Beyond: what limits have on all of a pattern they have on each name.
			if p.Limits != nil {
				l := authn.Limit{Type: "repository", Name: d.pick("a", "a/**", "**", "*/b", "a/*/b", "b/*"), Actions: []string{"pull", "push", "delete"}}
				have := TokenActions(l.Actions...) &^ Beyond(p.Limits, l)
				for _, n := range names {
					if have != 0 && matchPattern(l.Name, n) {
						beyond++
						if limit(p, TypeRepository, n, have) != have {
							t.Fatalf("limits %+v have %v on all of %s, and not on %s", p.Limits, have, l.Name, n)
						}
					}
				}
			}
		}
	}
	t.Logf("%d policies, %d permissions asked, %d held in part, %d checks, %d of limits", policies, asked, held, checks, beyond)
}
