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
