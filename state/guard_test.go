package state_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// TestSpentOnceOnAllGateways: of many who show one token at the same time on
// several gateways one is let in, and nobody after a restart.
func TestSpentOnceOnAllGateways(t *testing.T) {
	shared := memstore.New()
	until := time.Now().Add(time.Minute)
	var good atomic.Int32
	var group sync.WaitGroup
	for range 3 {
		st := open(t, shared)
		for range 10 {
			group.Go(func() {
				switch err := st.SpendToken(context.Background(), "https://ci", "job-1", until); {
				case err == nil:
					good.Add(1)
				case !errors.Is(err, authn.ErrInvalid):
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	if n := good.Load(); n != 1 {
		t.Errorf("%d were let in", n)
	}
	restarted := open(t, shared)
	if err := restarted.SpendToken(context.Background(), "https://ci", "job-1", until); !errors.Is(err, authn.ErrInvalid) {
		t.Errorf("after a restart: %v", err)
	}
	if err := restarted.SpendToken(context.Background(), "https://other", "job-1", until); err != nil {
		t.Errorf("another issuer's: %v", err)
	}
}

// TestSpendingWhoseAnswerIsLost: a job that was told that the store is away is let
// in when it asks again, and then not once more.
func TestSpendingWhoseAnswerIsLost(t *testing.T) {
	s := faultstore.Wrap(memstore.New())
	st := open(t, s)
	until := time.Now().Add(time.Minute)
	spend := func() error { return st.SpendToken(context.Background(), "https://ci", "job-1", until) }
	s.Fail(faultstore.Apply, store.ErrUnavailable)
	if err := spend(); !errors.Is(err, authn.ErrUnavailable) {
		t.Fatal(err)
	}
	s.Fail(faultstore.Apply, nil)
	s.LoseAcknowledgements(1)
	if err := spend(); !errors.Is(err, authn.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := spend(); err != nil {
		t.Errorf("asked again: %v", err)
	}
	if err := spend(); !errors.Is(err, authn.ErrInvalid) {
		t.Errorf("shown again: %v", err)
	}
}

// TestGuard: of two changes under one guard that have looked at the same time one
// fails, be the guard new or not, and looks at what the other one has made.
func TestGuard(t *testing.T) {
	shared := memstore.New()
	a, b := open(t, shared), open(t, shared)
	for range 3 {
		first, second := a.Guard("x"), b.Guard("x")
		var one, two state.Tx
		first.Put(&one)
		second.Put(&two)
		if err := a.Commit(context.Background(), &one); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(context.Background(), &two); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("the second: %v", err)
		}
		if err := b.CaughtUp(context.Background(), one.Revision()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSpendIsOnce, until it could not be shown any more anyhow.
func TestSpendIsOnce(t *testing.T) {
	c := newClock(time.Now())
	st := gateway(t, memstore.New(), state.Options{Now: c.now})
	spend := func(id string) error {
		var tx state.Tx
		if err := st.Spend(&tx, id, c.now().Add(time.Minute)); err != nil {
			return err
		}
		return st.Commit(context.Background(), &tx)
	}
	id := state.SpentID("login", "https://sso", "1")
	if err := spend(id); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{state.SpentID("token", "https://sso", "1"), state.SpentID("login", "https://other", "1"), state.SpentID("login", "https://sso", "2")} {
		if err := spend(other); err != nil {
			t.Errorf("another one: %v", err)
		}
	}
	c.pass(time.Minute - time.Nanosecond)
	if err := spend(id); !errors.Is(err, state.ErrSpent) {
		t.Errorf("once more: %v", err)
	}
	c.pass(time.Nanosecond)
	if err := spend(id); err != nil {
		t.Errorf("after its end: %v", err)
	}
}

// TestSyncSeesWhatOthersWrote before, and fails without the store.
func TestSyncSeesWhatOthersWrote(t *testing.T) {
	shared := faultstore.Wrap(memstore.New())
	a, b := open(t, shared), open(t, shared)
	for range 3 {
		var tx state.Tx
		a.Guard("x").Put(&tx)
		if err := a.Commit(context.Background(), &tx); err != nil {
			t.Fatal(err)
		}
		if err := b.Sync(context.Background()); err != nil || b.Sequence() <= tx.Revision() {
			t.Errorf("%v, %d of %d", err, b.Sequence(), tx.Revision())
		}
	}
	shared.Fail(faultstore.Apply, store.ErrUnavailable)
	if err := b.Sync(context.Background()); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}
