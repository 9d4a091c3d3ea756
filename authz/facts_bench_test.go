package authz

import (
	"fmt"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// storedFacts are n robots with permissions and n owners, found as a realm's
// state finds them: by name.
type storedFacts struct {
	robots       map[string]*Permissions
	repositories map[string]*Ownership
}

func (f *storedFacts) Permissions(p *authn.Principal) *Permissions {
	if p.Kind != authn.KindRobot {
		return nil
	}
	return f.robots[p.Name]
}

func (f *storedFacts) Owner(by OwnedBy, name string) *Ownership {
	if by == OwnedNamespace {
		return nil
	}
	return f.repositories[name]
}

// factsPolicy has owners in every repository, and what robots may they were
// given at run time.
func factsPolicy(tb testing.TB, n int) (*Policy, *authn.Principal, string) {
	tb.Helper()
	f := &storedFacts{map[string]*Permissions{}, map[string]*Ownership{}}
	for i := range n {
		name, repository := fmt.Sprintf("ci-%d", i), fmt.Sprintf("ci/app-%d", i)
		permissions, err := NewPermissions("robot:"+name, []authn.Limit{{Type: "repository", Name: repository, Actions: []string{"pull", "push"}}})
		if err != nil {
			tb.Fatal(err)
		}
		f.robots[name] = permissions
		f.repositories[repository] = &Ownership{Principal: "robot:" + name}
	}
	p := mustCompile(tb, Config{
		OwnerOnly:    []OwnerOnly{{By: "repository"}, {By: "namespace"}},
		CreatorRoles: []CreatorRole{{Role: "maintainer"}},
		Projects:     projectsOf(n),
	})
	return p.With(f), robot(fmt.Sprintf("ci-%d", n/2)), fmt.Sprintf("ci/app-%d", n/2)
}

// BenchmarkDecideFacts is a push by a stored robot to a repository that it owns.
func BenchmarkDecideFacts(b *testing.B) {
	for _, n := range benchSizes {
		p, who, repository := factsPolicy(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q := Query{Repository: repository, Action: Push, Tag: "v1"}
				if d := p.Decide(who, &q); !d.Allowed {
					b.Fatal(d.Reason())
				}
			}
		})
	}
}

func TestNoAllocationsWithFacts(t *testing.T) {
	p, who, repository := factsPolicy(t, 100)
	if allocs := testing.AllocsPerRun(100, func() {
		q := Query{Repository: repository, Action: Push, Tag: "latest"}
		if d := p.Decide(who, &q); !d.Allowed {
			t.Fatal(d.Reason())
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
