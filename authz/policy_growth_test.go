package authz

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// growth is how long a decision takes with 10 rules and with n: the best of
// many short rounds that alternate, so that a busy machine disturbs both
// alike.
func growth(tb testing.TB, n int, build func(int) (Config, *authn.Principal, string)) (small, large time.Duration) {
	tb.Helper()
	round := func(n int) func() time.Duration {
		cfg, who, repository := build(n)
		p := mustCompile(tb, cfg)
		return func() time.Duration {
			const decisions = 500
			start := time.Now()
			for range decisions {
				q := Query{Repository: repository, Action: Push, Tag: "latest"}
				if d := p.Decide(who, &q); !d.Allowed {
					tb.Fatal(d.Reason())
				}
			}
			return time.Since(start) / decisions
		}
	}
	few, many := round(10), round(n)
	runtime.GC()
	small, large = math.MaxInt64, math.MaxInt64
	for range 100 {
		small, large = min(small, few()), min(large, many())
	}
	return small, large
}

func BenchmarkGrowth(b *testing.B) {
	for _, bp := range benchPolicies {
		b.Run(bp.name, func(b *testing.B) {
			for b.Loop() {
				small, large := growth(b, 100_000, bp.build)
				b.ReportMetric(float64(small.Nanoseconds()), "ns/10")
				b.ReportMetric(float64(large.Nanoseconds()), "ns/100000")
				b.ReportMetric(float64(large)/float64(small), "ratio")
			}
		})
	}
}

// TestGrowth would fail by orders of magnitude if a decision looked at every
// rule; the exact ratio is for the benchmark to show.
func TestGrowth(t *testing.T) {
	for _, bp := range benchPolicies {
		if small, large := growth(t, 10_000, bp.build); large > 4*small {
			t.Errorf("%s: %v with 10 rules, %v with 10,000", bp.name, small, large)
		}
	}
}

// BenchmarkMemory reports what a policy of 100,000 robots keeps in memory.
func BenchmarkMemory(b *testing.B) {
	cfg, _, _ := benchPolicies[1].build(100_000)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		p := mustCompile(b, cfg)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
		runtime.KeepAlive(p)
	}
}
