package authn

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHashPoolFairness floods the pool from one address: others wait for the
// hash that is under way and not for those that wait.
func TestHashPoolFairness(t *testing.T) {
	pool := NewHashPool(1)
	pool.wait = time.Minute
	hold := make(chan struct{})
	order := make(chan string, 200)
	busy := make(chan string, 200)
	ask := func(c Claimant) {
		go func() {
			if err := pool.Do(context.Background(), c, func() bool { <-hold; order <- c.Account; return false }); err != nil {
				busy <- c.Account
			}
		}()
	}
	waiting := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			pool.mu.Lock()
			now := len(pool.waiting)
			pool.mu.Unlock()
			if now == n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d are waiting, want %d", now, n)
			}
		}
	}
	ask(Claimant{here, "flood"})
	for free := 1; free > 0; time.Sleep(time.Millisecond) {
		pool.mu.Lock()
		free = pool.free
		pool.mu.Unlock()
	}
	for i := range hashQueue {
		ask(Claimant{here, "flood"})
		waiting(i + 1)
	}
	ask(Claimant{here, "colleague"})
	if who := <-busy; who != "flood" {
		t.Fatalf("%s had to go", who)
	}
	ask(Claimant{elsewhere, "flood"})
	if who := <-busy; who != "flood" {
		t.Fatalf("%s had to go", who)
	}
	waiting(hashQueue)
	close(hold)
	var got []string
	for range 1 + hashQueue {
		got = append(got, <-order)
	}
	// the running one, the one from elsewhere, the colleague, the others
	if got[2] != "colleague" {
		t.Errorf("served in the order %q", got)
	}
}

// TestHashPoolRests: after a number of wrong checks from one address the worker
// rests before the next one, and serves others meanwhile.
func TestHashPoolRests(t *testing.T) {
	pool := NewHashPool(1)
	check := func(took time.Duration, right bool) func() bool {
		return func() bool { time.Sleep(took); return right }
	}
	flood := Claimant{here, "alice"}
	timed := func(c Claimant, right bool) time.Duration {
		began := time.Now()
		if err := pool.Do(t.Context(), c, check(0, right)); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	for range hashServed {
		timed(Claimant{elsewhere, "bob"}, true) // who is right is never suspect
	}
	for range hashSuspect {
		timed(flood, false)
	}
	pool.mu.Lock()
	pool.took, pool.ended = 20*time.Millisecond, time.Now()
	pool.mu.Unlock()
	if took := timed(Claimant{elsewhere, "bob"}, true); took > 15*time.Millisecond {
		t.Errorf("another address waits %s", took)
	}
	if took := timed(Claimant{here, "bob"}, true); took > 90*time.Millisecond {
		t.Errorf("a colleague of the same address waits %s", took)
	}
	if took := timed(flood, false); took < 80*time.Millisecond {
		t.Errorf("the flood waits %s only", took)
	}
}

// TestHashPoolFlood: while a flood waits the worker rests much longer, and a
// colleague at the flood's address is served nevertheless.
func TestHashPoolFlood(t *testing.T) {
	accounts := map[string]func(i int) string{
		"one account":   func(int) string { return "alice" },
		"many accounts": func(i int) string { return fmt.Sprint("name", i) },
	}
	for name, account := range accounts {
		t.Run(name, func(t *testing.T) {
			pool := NewHashPool(1)
			for i := range hashServed {
				pool.served[i] = Claimant{here, account(i)}
			}
			pool.took, pool.ended, pool.wait = 2*time.Millisecond, time.Now(), 120*time.Millisecond
			var ran atomic.Int64
			var flood sync.WaitGroup
			for i := range hashQueue {
				flood.Go(func() {
					_ = pool.Do(t.Context(), Claimant{here, account(i)}, func() bool { ran.Add(1); return false })
				})
			}
			for waiting := 0; waiting < hashQueue; time.Sleep(time.Millisecond) {
				pool.mu.Lock()
				waiting = len(pool.waiting)
				pool.mu.Unlock()
			}
			if name == "one account" {
				if err := pool.Do(t.Context(), Claimant{here, "bob"}, func() bool { return true }); err != nil {
					t.Errorf("a colleague: %v", err)
				}
			}
			if err := pool.Do(t.Context(), Claimant{elsewhere, "carol"}, func() bool { return true }); err != nil {
				t.Errorf("another address: %v", err)
			}
			flood.Wait()
			if n := ran.Load(); n != 0 {
				t.Errorf("%d guesses within %s", n, pool.wait)
			}
		})
	}
}
