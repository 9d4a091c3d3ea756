package state_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// clock is a clock of one gateway that tests set.
type clock struct{ at atomic.Int64 }

func newClock(at time.Time) *clock {
	c := new(clock)
	c.at.Store(at.UnixNano())
	return c
}
func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }

func TestLeaseIsHeldByOne(t *testing.T) {
	s := memstore.New()
	var inside, most, turns atomic.Int32
	var group sync.WaitGroup
	for range 4 {
		st := gateway(t, s, state.Options{})
		for range 3 {
			group.Go(func() {
				l, err := st.AcquireLease(t.Context(), "job", time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(2 * time.Millisecond)
				turns.Add(1)
				inside.Add(-1)
				if err := l.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	if most.Load() != 1 || turns.Load() != 12 {
		t.Errorf("up to %d at once, %d turns", most.Load(), turns.Load())
	}
}

// Clocks that are an hour apart must neither end a lease early nor keep it.
func TestLeaseTakeover(t *testing.T) {
	s := memstore.New()
	behind, ahead := newClock(time.Now()), newClock(time.Now().Add(time.Hour))
	a, b := gateway(t, s, state.Options{Now: behind.now}), gateway(t, s, state.Options{Now: ahead.now})
	held, err := a.TryLease(t.Context(), "job", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	try := func() error {
		l, err := b.TryLease(t.Context(), "job", time.Minute)
		if err == nil {
			held = l
		}
		return err
	}
	eventually(t, "the lease is seen", func() bool { return errors.Is(try(), state.ErrLeaseHeld) })
	ahead.pass(time.Minute)
	if err := try(); !errors.Is(err, state.ErrLeaseHeld) {
		t.Errorf("within the tenth that clocks may run apart: %v", err)
	}
	if err := held.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	revived := held
	time.Sleep(50 * time.Millisecond) // b learns of it
	ahead.pass(30 * time.Second)
	if err := try(); !errors.Is(err, state.ErrLeaseHeld) {
		t.Errorf("taken although it was renewed: %v", err)
	}
	ahead.pass(67 * time.Second)
	if err := try(); err != nil {
		t.Fatalf("not taken over: %v", err)
	}
	if err := revived.Renew(t.Context()); !errors.Is(err, state.ErrLeaseLost) {
		t.Errorf("the former holder renews: %v", err)
	}
	if err := revived.Release(t.Context()); !errors.Is(err, state.ErrLeaseLost) {
		t.Errorf("the former holder releases: %v", err)
	}
	if err := held.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLeaseWithoutStore(t *testing.T) {
	s := faultstore.Wrap(memstore.New())
	st := gateway(t, s, state.Options{})
	s.Fail(faultstore.Apply, store.ErrUnavailable)
	if _, err := st.AcquireLease(t.Context(), "job", time.Minute); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	s.Fail(faultstore.Apply, nil)
	held, err := st.TryLease(t.Context(), "job", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := time.Until(held.Until()); got <= 59*time.Second || got > time.Minute {
		t.Errorf("ends in %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := st.AcquireLease(ctx, "job", time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestLeaseWhoseAnswerIsLost: the answer to taking, renewing or giving back a
// lease gets lost. It is still known whose it is.
func TestLeaseWhoseAnswerIsLost(t *testing.T) {
	s := faultstore.Wrap(memstore.New())
	st := open(t, s)
	l, err := st.TryLease(t.Context(), "tag/a:v1", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	s.LoseAcknowledgements(1)
	if err := l.Renew(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := l.Renew(t.Context()); err != nil {
		t.Errorf("renewed again: %v", err)
	}
	s.LoseAcknowledgements(1)
	if err := l.Release(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Errorf("given back again: %v", err)
	}
	s.LoseAcknowledgements(1)
	eventually(t, "it is not free", func() bool {
		_, err := st.TryLease(t.Context(), "tag/a:v1", 10*time.Second)
		return errors.Is(err, store.ErrUnavailable)
	})
	eventually(t, "it cannot be taken", func() bool {
		_, err := st.TryLease(t.Context(), "tag/a:v1", 10*time.Second)
		return err == nil
	})
	if _, err := st.TryLease(t.Context(), "tag/a:v1", 10*time.Second); !errors.Is(err, state.ErrLeaseHeld) {
		t.Errorf("taken twice: %v", err)
	}
}
