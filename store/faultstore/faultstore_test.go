package faultstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/storetest"
)

// TestConformance wants no difference as long as nothing is made to fail.
func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		return storetest.Place{
			Open: func() (store.Store, error) { return Wrap(memstore.New()), nil },
			Age:  func(_ *testing.T, s store.Store, by time.Duration) { s.(*Store).inner.(*memstore.Store).Elapse(by) },
		}
	})
}

var change = []store.Change{{Key: store.Key{Kind: "robot", ID: "a"}, Data: []byte("1")}}

func TestFail(t *testing.T) {
	s := Wrap(memstore.New())
	verbs := map[Verb]func() error{
		Load:    func() error { _, _, err := s.Load(t.Context(), "r"); return err },
		Apply:   func() error { _, err := s.Apply(t.Context(), "r", change); return err },
		History: func() error { _, err := s.History(t.Context(), "r", "", 1); return err },
		Trim:    func() error { return s.Trim(t.Context(), "r", "") },
		Watch: func() error {
			ctx, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer end()
			return s.Watch(ctx, "r", store.Position{Sequence: 0}, func(store.Batch) {})
		},
	}
	for verb, call := range verbs {
		s.Fail(verb, store.ErrUnavailable)
		for other, call := range verbs {
			if err := call(); errors.Is(err, store.ErrUnavailable) != (other == verb) {
				t.Errorf("%s fails, %s: %v", verb, other, err)
			}
		}
		s.Fail(verb, nil)
		if err := call(); err != nil {
			t.Errorf("%s healed: %v", verb, err)
		}
	}
}

func TestFailEndsWatches(t *testing.T) {
	s := Wrap(memstore.New())
	done := make(chan error, 1)
	started := make(chan struct{})
	if _, err := s.Apply(t.Context(), "r", change); err != nil {
		t.Fatal(err)
	}
	go func() {
		done <- s.Watch(t.Context(), "r", store.Position{Sequence: 0}, func(store.Batch) { close(started) })
	}()
	<-started
	s.Fail(Watch, store.ErrUnavailable)
	if err := <-done; !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("watch: %v", err)
	}
}

func TestLoseAcknowledgements(t *testing.T) {
	s := Wrap(memstore.New())
	s.LoseAcknowledgements(1)
	if _, err := s.Apply(t.Context(), "r", change); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("lost: %v", err)
	}
	if d, n, err := s.Load(t.Context(), "r"); err != nil || len(d) != 1 || n.Sequence != 1 {
		t.Errorf("was not made: %v %d %v", d, n, err)
	}
	if n, err := s.Apply(t.Context(), "r", change); err != nil || n != 2 {
		t.Errorf("next: %d %v", n, err)
	}
}

func TestHold(t *testing.T) {
	s := Wrap(memstore.New())
	got := make(chan store.Batch, 10)
	go func() { _ = s.Watch(t.Context(), "r", store.Position{Sequence: 0}, func(b store.Batch) { got <- b }) }()
	s.Hold()
	if _, err := s.Apply(t.Context(), "r", change); err != nil {
		t.Fatal(err)
	}
	select {
	case b := <-got:
		t.Errorf("delivered %v", b)
	case <-time.After(20 * time.Millisecond):
	}
	s.Release()
	for b := range got {
		if b.Sequence == 1 {
			break
		}
	}
}

func TestDelay(t *testing.T) {
	s := Wrap(memstore.New())
	s.Delay(Apply, time.Hour)
	ctx, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer end()
	if _, err := s.Apply(ctx, "r", change); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("delayed: %v", err)
	}
}
