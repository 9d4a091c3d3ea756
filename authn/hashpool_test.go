package authn

import (
	"context"
	"testing"
	"time"
)

// TestHashPoolFairness floods the pool from one address: others wait for the
// hash that is under way and not for those that wait.
func TestHashPoolFairness(t *testing.T) {
	pool := NewHashPool(1)
	pool.wait, pool.patience = time.Minute, time.Minute
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
