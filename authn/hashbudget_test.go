package authn

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHashPoolFloodCost floods the pool from one place for a second: beyond the
// burst it takes two hundredths of a processor, whatever the accounts, and
// however few or many ask at a time and are computed at a time.
func TestHashPoolFloodCost(t *testing.T) {
	const (
		took   = 4 * time.Millisecond
		length = time.Second
	)
	prefix := netip.MustParsePrefix("2001:db8:1:2::/64")
	for name, who := range map[string]func(i int) Claimant{
		"one account":    func(int) Claimant { return Claimant{here, "alice"} },
		"many accounts":  func(i int) Claimant { return Claimant{here, fmt.Sprint("name", i)} },
		"a few accounts": func(i int) Claimant { return Claimant{here, fmt.Sprint("name", i%5)} },
		"addresses of a /64": func(i int) Claimant {
			a := prefix.Addr().As16()
			a[14], a[15] = byte(i>>8), byte(i)
			return Claimant{netip.AddrFrom16(a), fmt.Sprint("name", i)}
		},
	} {
		for _, load := range []struct{ workers, clients int }{{1, 4}, {1, 100}, {8, 400}} {
			t.Run(fmt.Sprintf("%s, %d workers, %d clients", name, load.workers, load.clients), func(t *testing.T) {
				t.Parallel()
				pool := NewHashPool(load.workers)
				pool.budget.burst, pool.wait = 0, 50*time.Millisecond
				var guesses atomic.Int64
				var mu sync.Mutex
				var ran int
				var spent, longest time.Duration
				check := func() bool {
					began := time.Now()
					time.Sleep(took)
					mu.Lock()
					defer mu.Unlock()
					now := time.Since(began)
					ran, spent, longest = ran+1, spent+now, max(longest, now)
					return false
				}
				began := time.Now()
				var flood sync.WaitGroup
				for range load.clients {
					flood.Go(func() {
						for time.Since(began) < length {
							_ = pool.Do(t.Context(), who(int(guesses.Add(1))), check)
							time.Sleep(time.Millisecond)
						}
					})
				}
				flood.Wait()
				// What two purses have at first and get since, and what began
				// before the first was charged.
				most := 2*hashFew*longest + 2*time.Since(began)/hashShare + time.Duration(load.workers+2)*longest
				if spent > most || ran < 2 {
					t.Errorf("%d of %d guesses took %s, want at most %s", ran, guesses.Load(), spent, most)
				}
			})
		}
	}
}

// flooded is a pool at which a place has spent what it has: at one account, or
// at many. The flood goes on until the test ends.
func flooded(t *testing.T, account func(i int) string) *HashPool {
	t.Helper()
	pool := NewHashPool(1)
	pool.budget.burst, pool.wait = 150*time.Millisecond, 200*time.Millisecond
	var guesses atomic.Int64
	stop := make(chan struct{})
	var flood sync.WaitGroup
	for range 2 * hashQueue {
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_ = pool.Do(t.Context(), Claimant{here, account(int(guesses.Add(1)))}, func() bool {
					time.Sleep(10 * time.Millisecond)
					return false
				})
				time.Sleep(time.Millisecond)
			}
		})
	}
	t.Cleanup(func() { close(stop); flood.Wait() })
	time.Sleep(500 * time.Millisecond)
	return pool
}

// TestHashPoolHonest: who is right gets in while others of the same address are
// wrong all the time.
func TestHashPoolHonest(t *testing.T) {
	right := func() bool { return true }
	t.Run("a colleague of the account", func(t *testing.T) {
		pool := flooded(t, func(int) string { return "alice" })
		for i := range 20 {
			if err := pool.Do(t.Context(), Claimant{here, fmt.Sprint("colleague", i)}, right); err != nil {
				t.Errorf("colleague %d: %v", i, err)
			}
		}
		if err := pool.Do(t.Context(), Claimant{elsewhere, "alice"}, right); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
	})
	t.Run("a colleague who was right before", func(t *testing.T) {
		pool := flooded(t, func(i int) string { return fmt.Sprint("name", i) })
		bob := Claimant{here, "bob"}
		pool.mu.Lock()
		pool.lately.outcome(bob, true)
		pool.mu.Unlock()
		for range 5 {
			if err := pool.Do(t.Context(), bob, right); err != nil {
				t.Errorf("bob: %v", err)
			}
		}
		if err := pool.Do(t.Context(), Claimant{elsewhere, "carol"}, right); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
		_ = pool.Do(t.Context(), bob, func() bool { return false })
		if err := pool.Do(t.Context(), bob, right); !errors.Is(err, ErrBusy) {
			t.Errorf("bob, who is guessed at: %v", err)
		}
	})
	t.Run("everybody at once", func(t *testing.T) {
		pool := NewHashPool(1)
		pool.wait = 20 * time.Millisecond
		var all sync.WaitGroup
		for i := range hashQueue {
			all.Go(func() {
				err := pool.Do(t.Context(), Claimant{here, fmt.Sprint("name", i)}, func() bool { time.Sleep(10 * time.Millisecond); return true })
				if err != nil {
					t.Errorf("name%d: %v", i, err)
				}
			})
		}
		all.Wait()
	})
}

// TestHashBudget: what is spent comes back, right checks cost nothing, and
// memory is bounded.
func TestHashBudget(t *testing.T) {
	b, now := newHashBudget(), time.Now()
	spend := func(of purse, took time.Duration) { b.settle(b.expect(here, of, now), took, now) }
	for range hashFew {
		spend(purseGuessed, hashBurst/hashFew)
	}
	if w := b.wait(here, purseGuessed, now); w > 0 {
		t.Errorf("waits %s at the burst", w)
	}
	spend(purseGuessed, hashBurst/hashFew)
	if w := b.wait(here, purseGuessed, now); w != 25*time.Second {
		t.Errorf("waits %s beyond it", w)
	}
	if w := b.wait(here, purseOthers, now); w > 0 {
		t.Errorf("the other purse waits %s", w)
	}
	spend(purseGuessed, 0) // was right
	if w := b.wait(here, purseGuessed, now); w != 25*time.Second {
		t.Errorf("waits %s after a right one", w)
	}
	now = now.Add(25 * time.Second)
	if w := b.wait(here, purseGuessed, now); w > 0 {
		t.Errorf("waits %s when it has waited", w)
	}
	for i := range 2 * hashPlaces {
		b.settle(b.expect(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), purseOthers, now), time.Millisecond, now)
	}
	if n := len(b.places); n > hashPlaces {
		t.Errorf("%d places are remembered", n)
	}
	now = now.Add(time.Hour)
	b.settle(b.expect(elsewhere, purseOthers, now), time.Second, now)
	if n := len(b.places); n != 1 {
		t.Errorf("%d places are remembered that have spent nothing", n)
	}
}

// TestHashHistoryIsBounded: only turns that may be another's guesses stay.
func TestHashHistoryIsBounded(t *testing.T) {
	h, now := newHashHistory(), time.Now()
	for i := range 10 * hashGood {
		who := Claimant{here, fmt.Sprint("name", i)}
		h.served(who, now)
		h.outcome(who, i%2 == 0)
	}
	if len(h.who) > hashServed || len(h.place) > 1 || len(h.right)+len(h.rightBefore) > 2*hashGood {
		t.Errorf("%d claimants, %d places, %d and %d right ones", len(h.who), len(h.place), len(h.right), len(h.rightBefore))
	}
	alice := Claimant{here, "alice"}
	for range hashGuessed {
		h.served(alice, now)
	}
	if h.purse(alice, now) != purseGuessed || h.purse(alice, now.Add(hashRecent)) != purseOthers {
		t.Error("wrong ones of an account count for a while")
	}
}
