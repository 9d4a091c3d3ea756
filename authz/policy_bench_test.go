package authz

import (
	"fmt"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

var benchSizes = []int{10, 1_000, 100_000}

// benchPolicies are the ways in which a policy grows to n rules. Each asks
// for something that one of the middle rules allows.
var benchPolicies = []struct {
	name  string
	build func(n int) (Config, *authn.Principal, string)
}{
	{"projects", func(n int) (Config, *authn.Principal, string) {
		return Config{Projects: projectsOf(n)}, user("alice", "staff", fmt.Sprintf("team-%d", n/2), "other"), fmt.Sprintf("team-%d/app", n/2)
	}},
	{"robots", func(n int) (Config, *authn.Principal, string) {
		var cfg Config
		for i := range n {
			cfg.Projects = append(cfg.Projects, Project{
				Name: fmt.Sprintf("robot %d", i), Patterns: []string{fmt.Sprintf("ci/app-%d", i)},
				Grants: []Grant{{Actions: []string{"pull", "push", "overwrite"}, Subjects: []string{fmt.Sprintf("robot:ci-%d", i)}}},
			})
		}
		return cfg, robot(fmt.Sprintf("ci-%d", n/2)), fmt.Sprintf("ci/app-%d", n/2)
	}},
	{"one pattern", func(n int) (Config, *authn.Principal, string) {
		p := Project{Patterns: []string{"shared/**"}}
		for i := range n {
			p.Grants = append(p.Grants, Grant{Role: "developer", Subjects: []string{fmt.Sprintf("user:u%d", i)}})
		}
		return Config{Projects: []Project{p}}, user(fmt.Sprintf("u%d", n/2), "a", "b"), "shared/app"
	}},
	{"one subject", func(n int) (Config, *authn.Principal, string) {
		var cfg Config
		for i := range n {
			cfg.Projects = append(cfg.Projects, Project{
				Patterns: []string{fmt.Sprintf("p/%d/**", i)},
				Grants:   []Grant{{Role: "developer", Subjects: []string{"group:all"}}},
			})
		}
		return cfg, user("alice", "all"), fmt.Sprintf("p/%d/app", n/2)
	}},
	{"globs", func(n int) (Config, *authn.Principal, string) {
		var cfg Config
		for i := range n {
			cfg.Projects = append(cfg.Projects, Project{
				Patterns: []string{fmt.Sprintf("t%06d-*/**", i)},
				Grants:   []Grant{{Role: "developer", Subjects: []string{"group:all"}}},
			})
		}
		return cfg, user("alice", "all"), fmt.Sprintf("t%06d-x/app", n/2)
	}},
	{"deep globs", func(n int) (Config, *authn.Principal, string) {
		var cfg Config
		for i := range n {
			cfg.Projects = append(cfg.Projects, Project{
				Patterns: []string{fmt.Sprintf("**/x-%d-*", i)},
				Grants:   []Grant{{Role: "developer", Subjects: []string{"group:all"}}},
			})
		}
		return cfg, user("alice", "all"), fmt.Sprintf("a/x-%d-y", n/2)
	}},
	{"placeholders", func(n int) (Config, *authn.Principal, string) {
		cfg := Config{Projects: projectsOf(n)}
		cfg.Projects = append(cfg.Projects, Project{
			Patterns: []string{"users/{user}/**", "{groups}/**"},
			Grants:   []Grant{{Role: "maintainer", Subjects: []string{"authenticated"}}},
		})
		return cfg, user("alice", "dev", "ops"), "users/alice/app"
	}},
}

func projectsOf(n int) (projects []Project) {
	for i := range n {
		projects = append(projects, Project{
			Patterns: []string{fmt.Sprintf("team-%d/**", i)},
			Grants:   []Grant{{Role: "developer", Subjects: []string{fmt.Sprintf("group:team-%d", i)}}},
		})
	}
	return projects
}

func benchProjects(n int) (Config, *authn.Principal, string) { return benchPolicies[0].build(n) }

func BenchmarkDecide(b *testing.B) {
	for _, bp := range benchPolicies {
		for _, n := range benchSizes {
			cfg, who, repository := bp.build(n)
			p := mustCompile(b, cfg)
			if d := p.Decide(who, &Query{Repository: repository, Action: Push}); !d.Allowed {
				b.Fatal(d.Reason())
			}
			b.Run(fmt.Sprintf("%s/%d", bp.name, n), func(b *testing.B) {
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
}

func BenchmarkDecideFor(b *testing.B) {
	cfg, who, repository := benchProjects(1_000)
	p := mustCompile(b, cfg)
	s := p.Resolve(who)
	b.ReportAllocs()
	for b.Loop() {
		q := Query{Repository: repository, Action: Pull}
		if d := p.DecideFor(s, &q); !d.Allowed {
			b.Fatal(d.Reason())
		}
	}
}

func BenchmarkAllowed(b *testing.B) {
	cfg, who, repository := benchProjects(1_000)
	p := mustCompile(b, cfg)
	b.ReportAllocs()
	for b.Loop() {
		q := Query{Repository: repository}
		if p.Allowed(who, &q) == 0 {
			b.Fatal("nothing")
		}
	}
}

func BenchmarkDecideLimits(b *testing.B) {
	cfg, who, repository := benchProjects(1_000)
	p := mustCompile(b, cfg)
	who.Limits = []authn.Limit{{Type: "repository", Name: repository, Actions: []string{"pull", "push"}}}
	b.ReportAllocs()
	for b.Loop() {
		q := Query{Repository: repository, Action: Pull}
		if d := p.Decide(who, &q); !d.Allowed {
			b.Fatal(d.Reason())
		}
	}
}

func BenchmarkDecideWhen(b *testing.B) {
	p := mustCompile(b, Config{Projects: []Project{{Patterns: []string{"acme/**"}, Grants: []Grant{{
		Role: "developer", Subjects: []string{"workload:github"},
		Conditions: Conditions{When: `claims.repository_owner == "acme" && request.repository.startsWith("acme/")`},
	}}}}})
	who := &authn.Principal{Kind: authn.KindWorkload, Name: "github", Claims: map[string]any{"repository_owner": "acme"}}
	b.ReportAllocs()
	for b.Loop() {
		q := Query{Repository: "acme/app", Action: Push}
		if d := p.Decide(who, &q); !d.Allowed {
			b.Fatal(d.Reason())
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range benchSizes {
		cfg, _, _ := benchPolicies[1].build(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustCompile(b, cfg)
			}
		})
	}
}
