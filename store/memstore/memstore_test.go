package memstore

import (
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Place {
		return storetest.Place{
			Open: func() (store.Store, error) { return New(), nil },
			Age:  func(_ *testing.T, s store.Store, by time.Duration) { s.(*Store).Elapse(by) },
			Save: func(_ *testing.T, s store.Store) func() { return s.(*Store).Save() },
		}
	})
}

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, func() (store.Store, error) { return New(), nil })
}
