// Package faultstore wraps a store and makes it fail, for tests of what uses
// one. Without faults it is as good as the store that it wraps.
package faultstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Verb is a method of [store.Store].
type Verb string

// The verbs that can be made to fail.
const (
	Load    Verb = "load"
	Apply   Verb = "apply"
	Watch   Verb = "watch"
	History Verb = "history"
	Trim    Verb = "trim"
)

// Store is the store that fails when it is told to. It is safe for concurrent
// use.
type Store struct {
	inner store.Store

	mu      sync.Mutex
	faults  map[Verb]error
	delays  map[Verb]time.Duration
	lost    int
	held    chan struct{}                   // open while batches are held back
	watches map[int]context.CancelCauseFunc // those that are running
	next    int
}

// Wrap returns a store that does what another does.
func Wrap(inner store.Store) *Store {
	return &Store{
		inner: inner, faults: map[Verb]error{}, delays: map[Verb]time.Duration{},
		watches: map[int]context.CancelCauseFunc{},
	}
}

// Fail makes a verb return err without doing anything, until it is told
// otherwise with nil. With [Watch], those that are running end with it, too.
func (s *Store) Fail(verb Verb, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[verb] = err
	if verb == Watch && err != nil {
		for _, end := range s.watches {
			end(err)
		}
	}
}

// Delay makes a verb wait before it does anything.
func (s *Store) Delay(verb Verb, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delays[verb] = d
}

// LoseAcknowledgements makes the next n Apply calls that succeed answer
// [store.ErrUnknown]: they are made, and nobody knows.
func (s *Store) LoseAcknowledgements(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = n
}

// Hold keeps changes from watchers, as if notifications got lost, until
// Release.
func (s *Store) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = make(chan struct{})
	}
}

// Release lets watchers have what was held back.
func (s *Store) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		close(s.held)
		s.held = nil
	}
}

// Load is [store.Store]'s.
func (s *Store) Load(ctx context.Context, realm string) ([]store.Document, store.Position, error) {
	if err := s.before(ctx, Load); err != nil {
		return nil, store.Position{}, err
	}
	return s.inner.Load(ctx, realm)
}

// Apply is [store.Store]'s.
func (s *Store) Apply(ctx context.Context, realm string, changes []store.Change, history ...store.Entry) (uint64, error) {
	if err := s.before(ctx, Apply); err != nil {
		return 0, err
	}
	sequence, err := s.inner.Apply(ctx, realm, changes, history...)
	if err == nil && s.lose() {
		return 0, fmt.Errorf("%w: acknowledgement lost", store.ErrUnknown)
	}
	return sequence, err
}

// Watch is [store.Store]'s.
func (s *Store) Watch(ctx context.Context, realm string, after store.Position, deliver func(store.Batch)) error {
	if err := s.before(ctx, Watch); err != nil {
		return err
	}
	inner, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer s.register(end)()
	err := s.inner.Watch(inner, realm, after, func(b store.Batch) {
		if s.wait(inner) {
			deliver(b)
		}
	})
	if cause := context.Cause(inner); err == nil && ctx.Err() == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// History is [store.Store]'s.
func (s *Store) History(ctx context.Context, realm, before string, limit int) ([]store.Entry, error) {
	if err := s.before(ctx, History); err != nil {
		return nil, err
	}
	return s.inner.History(ctx, realm, before, limit)
}

// Trim is [store.Store]'s.
func (s *Store) Trim(ctx context.Context, realm, before string) error {
	if err := s.before(ctx, Trim); err != nil {
		return err
	}
	return s.inner.Trim(ctx, realm, before)
}

// before is what happens before a verb is passed on.
func (s *Store) before(ctx context.Context, verb Verb) error {
	s.mu.Lock()
	fault, delay := s.faults[verb], s.delays[verb]
	s.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
		}
	}
	return fault
}

func (s *Store) lose() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost == 0 {
		return false
	}
	s.lost--
	return true
}

// register remembers how to end a Watch, until it has ended.
func (s *Store) register(end context.CancelCauseFunc) (forget func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	id := s.next
	s.watches[id] = end
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watches, id)
	}
}

// wait returns once nothing is held back, and whether ctx still runs.
func (s *Store) wait(ctx context.Context) bool {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// Close is [store.Store]'s. It never fails on purpose.
func (s *Store) Close() error {
	s.Release()
	return s.inner.Close()
}

var _ store.Store = (*Store)(nil)
