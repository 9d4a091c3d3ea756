package authn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stubHash is a slow hash whose checks are counted and can be held up.
type stubHash struct {
	secret string
	hold   chan struct{}
	checks atomic.Int32
}

func (h *stubHash) Matches(secret string) bool {
	h.checks.Add(1)
	if h.hold != nil {
		<-h.hold
	}
	return secret == h.secret
}
func (h *stubHash) Slow() bool     { return true }
func (h *stubHash) ID() string     { return "" }
func (h *stubHash) stored() string { return "stub:" + h.secret }
func (h *stubHash) cost() float64  { return 1 }

func TestVerifiedCache(t *testing.T) {
	c, pool, h := NewVerifiedCache(), NewHashPool(1), &stubHash{secret: "right"}
	now := time.Now()
	c.now = func() time.Time { return now }
	verify := func(secret string, want bool, checks int32) {
		t.Helper()
		ok, err := c.Verify(t.Context(), pool, Check{Kind: "robot", User: "ci", Secret: secret, Hash: h})
		if err != nil || ok != want {
			t.Errorf("%s: %v, %v", secret, ok, err)
		}
		if n := h.checks.Load(); n != checks {
			t.Errorf("%s: %d checks so far, want %d", secret, n, checks)
		}
	}
	verify("right", true, 1)
	verify("right", true, 1)
	verify("wrong", false, 2)
	verify("wrong", false, 2)
	now = now.Add(verifiedNegative)
	verify("right", true, 2)
	verify("wrong", false, 3)
	now = now.Add(verifiedPositive)
	verify("right", true, 4)
}

func TestVerifiedCacheKey(t *testing.T) {
	c, pool := NewVerifiedCache(), NewHashPool(1)
	h := &stubHash{secret: "bc"}
	for i, check := range []Check{
		{Kind: "robot", Realm: "r", User: "a", Secret: "bc", Hash: h},
		{Kind: "robot", Realm: "r", User: "ab", Secret: "c", Hash: h},
		{Kind: "robot", Realm: "ra", User: "", Secret: "bc", Hash: h},
		{Kind: "robotr", Realm: "", User: "a", Secret: "bc", Hash: h},
	} {
		if _, err := c.Verify(t.Context(), pool, check); err != nil {
			t.Fatal(err)
		}
		if n := h.checks.Load(); n != int32(i+1) {
			t.Errorf("check %d was answered for another one", i)
		}
	}
	other := &stubHash{secret: "changed"}
	if ok, _ := c.Verify(t.Context(), pool, Check{Kind: "robot", Realm: "r", User: "a", Secret: "bc", Hash: other}); ok {
		t.Error("the old password is good after it was changed")
	}
}

func TestVerifiedCacheLeaderLeaves(t *testing.T) {
	c, pool := NewVerifiedCache(), NewHashPool(1)
	h := &stubHash{secret: "right", hold: make(chan struct{})}
	check := Check{Secret: "right", Hash: h}

	ctx, cancel := context.WithCancel(t.Context())
	leader := make(chan error)
	go func() {
		_, err := c.Verify(ctx, pool, check)
		leader <- err
	}()
	for h.checks.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	var followers sync.WaitGroup
	for range 8 {
		followers.Go(func() {
			if ok, err := c.Verify(t.Context(), pool, check); !ok || err != nil {
				t.Errorf("follower: %v, %v", ok, err)
			}
		})
	}
	cancel()
	if err := <-leader; !errors.Is(err, context.Canceled) {
		t.Errorf("leader: %v", err)
	}
	close(h.hold)
	followers.Wait()
	if ok, err := c.Verify(t.Context(), pool, check); !ok || err != nil {
		t.Errorf("afterwards: %v, %v", ok, err)
	}
	if n := h.checks.Load(); n != 1 {
		t.Errorf("%d checks, want 1", n)
	}
}

func TestHashPoolBounds(t *testing.T) {
	pool := NewHashPool(2)
	pool.wait, pool.patience = 50*time.Millisecond, 50*time.Millisecond
	hold := make(chan struct{})
	var running, most atomic.Int32
	compute := func() bool {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-hold
		running.Add(-1)
		return true
	}
	var wg sync.WaitGroup
	var busy atomic.Int32
	for range 200 {
		wg.Go(func() {
			if err := pool.Do(t.Context(), Claimant{}, compute); errors.Is(err, ErrBusy) {
				busy.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	for busy.Load() < 198 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pool.Do(ctx, Claimant{}, compute); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	close(hold)
	wg.Wait()
	if most.Load() != 2 {
		t.Errorf("%d at once, want 2", most.Load())
	}
	if err := pool.Do(t.Context(), Claimant{}, func() bool { return true }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if NewHashPool(0).free < 1 {
		t.Error("pool without workers")
	}
}

// A busy pool is no wrong password, and must not be remembered as one.
func TestVerifiedCacheBusy(t *testing.T) {
	c, pool, h := NewVerifiedCache(), NewHashPool(1), &stubHash{secret: "right"}
	pool.wait, pool.patience = time.Millisecond, time.Millisecond
	hold := make(chan struct{})
	started := make(chan struct{})
	go func() {
		_ = pool.Do(context.Background(), Claimant{}, func() bool { close(started); <-hold; return true })
	}()
	<-started
	if _, err := c.Verify(t.Context(), pool, Check{Secret: "right", Hash: h}); !errors.Is(err, ErrBusy) {
		t.Errorf("error %v", err)
	}
	close(hold)
	pool.wait, pool.patience = time.Second, time.Second
	if ok, err := c.Verify(t.Context(), pool, Check{Secret: "right", Hash: h}); !ok || err != nil {
		t.Errorf("afterwards: %v, %v", ok, err)
	}
}
