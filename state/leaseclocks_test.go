package state_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// TestLeaseUnderAnyClocks: gateways whose clocks differ by an hour, and run up to
// 5 % too fast or too slow, take one lease in turn; some renew it, some die with it.
// Never do two hold it at once, each by its own clock.
func TestLeaseUnderAnyClocks(t *testing.T) {
	total, died, renewed, lost := 0, 0, 0, 0
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 9))
			shared := memstore.New()
			epoch := time.Now()
			ctx, cancel := context.WithCancel(context.Background())
			var mu sync.Mutex
			type hold struct {
				l   *state.Lease
				now func() time.Time
			}
			holders := map[*state.Lease]hold{}
			var wg sync.WaitGroup
			var states []*state.State
			const lasts = 10 * time.Second
			for range 4 {
				offset := time.Duration(r.IntN(7200)-3600) * time.Second
				rate := 0.95 + 0.1*r.Float64()
				now := func() time.Time { return epoch.Add(offset + time.Duration(float64(time.Since(epoch))*rate)) }
				st, err := state.Open(context.Background(), shared, "default", state.Options{Now: now})
				if err != nil {
					t.Fatal(err)
				}
				states = append(states, st)
				rr := rand.New(rand.NewPCG(seed, r.Uint64()))
				wg.Go(func() {
					for ctx.Err() == nil {
						l, err := st.AcquireLease(ctx, "x", lasts)
						if err != nil {
							if ctx.Err() == nil {
								t.Error(err)
							}
							return
						}
						mu.Lock()
						total++
						for _, h := range holders {
							if h.now().Before(h.l.Until()) {
								t.Errorf("two hold it: the other for another %s", h.l.Until().Sub(h.now()))
							}
						}
						holders[l] = hold{l, now}
						mu.Unlock()
						for {
							time.Sleep(time.Duration(rr.IntN(4000)) * time.Millisecond)
							k := rr.IntN(10)
							if k < 5 && now().Before(l.Until()) {
								if err := l.Renew(ctx); err == nil {
									mu.Lock()
									renewed++
									mu.Unlock()
									continue
								} else if errors.Is(err, state.ErrLeaseLost) {
									mu.Lock()
									lost++
									delete(holders, l)
									mu.Unlock()
									break
								}
							}
							if k == 9 {
								mu.Lock()
								died++
								mu.Unlock()
								break // dies; it holds it until Until
							}
							mu.Lock()
							delete(holders, l)
							mu.Unlock()
							_ = l.Release(ctx)
							break
						}
						time.Sleep(time.Duration(rr.IntN(500)) * time.Millisecond)
					}
				})
			}
			time.Sleep(20 * time.Minute)
			cancel()
			wg.Wait()
			for _, st := range states {
				st.Close()
			}
			_ = shared.Close()
		})
	}
	t.Logf("%d times taken, %d renewals, %d died with it, %d lost", total, renewed, died, lost)
}
