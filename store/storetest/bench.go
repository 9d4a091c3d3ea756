package storetest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Benchmark measures a store: an Apply alone and of 64 callers at once, and
// Load of 100,000 documents of 400 bytes.
func Benchmark(b *testing.B, open func() (store.Store, error)) {
	var next atomic.Int64
	data := strings.Repeat("x", 400)
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("apply/%d", callers), func(b *testing.B) {
			s := Place{Open: open}.open(b)
			jobs := make(chan store.Change, callers)
			done := make(chan error, callers)
			for range callers {
				go func() {
					var err error
					for c := range jobs {
						if _, failed := s.Apply(b.Context(), realm, []store.Change{c}); failed != nil {
							err = failed
						}
					}
					done <- err
				}()
			}
			for b.Loop() {
				jobs <- put("robot", fmt.Sprint(next.Add(1)), data)
			}
			close(jobs)
			for range callers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "applies/s")
		})
	}
	b.Run("load/100000", func(b *testing.B) {
		s := Place{Open: open}.open(b)
		for i := range 10 {
			changes := make([]store.Change, 10_000)
			for j := range changes {
				changes[j] = put("robot", fmt.Sprint(i, "-", j), data)
			}
			if _, err := s.Apply(b.Context(), "large", changes); err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			if documents, _, err := s.Load(b.Context(), "large"); err != nil || len(documents) != 100_000 {
				b.Fatal(len(documents), err)
			}
		}
	})
}
