package authn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// missInterval is the least time between two fetches that tokens with
	// unknown keys can cause.
	missInterval = 30 * time.Second
	// missMemory is how long a key ID that a fresh set did not have causes no
	// further fetch, and maxMissed how many such IDs are remembered. It is
	// short, for some providers sign with a key before they publish it.
	missMemory = time.Minute
	maxMissed  = 256
	// keyWait is how long a request waits for keys that are being fetched.
	keyWait = 2 * time.Second
	// fetchTimeout bounds one fetch, discovery and key set together.
	fetchTimeout = 10 * time.Second
	// retryFirst and retryMost bound the delay after failures, which doubles.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
)

// keySet keeps a provider's signing keys fresh. Keys are fetched in the
// background, one fetch at a time, when they are about to be too old or when a
// token names a key that is not among them; requests wait for that for a short
// time at most, and not at all while the provider is known to be away. What
// was fetched last goes on working for the grace period.
type keySet struct {
	fetch         func(context.Context) (*providerKeys, error)
	withdrawn     func() // called when a key has disappeared from the set
	failed        func(error, time.Duration)
	now           func() time.Time
	maxAge, grace time.Duration

	current atomic.Pointer[providerKeys] // nil until the first fetch

	mu       sync.Mutex
	flight   *keyFlight // nil: none under way
	failures int        // in a row
	retryAt  time.Time  // no fetch before, after a failure
	lastErr  error
	missAt   time.Time // when an unknown key caused a fetch last
	missed   map[string]time.Time
}

// keyFlight is a fetch under way.
type keyFlight struct {
	done chan struct{}
	slow atomic.Bool // somebody has waited in vain: nobody else does
}

// fresh returns the keys if they may be used as they are. Keys in the last
// fifth of their age are, while new ones are fetched behind the scenes: in
// steady use no request waits and no withdrawn key outlives the maximum age.
func (s *keySet) fresh() *providerKeys {
	keys := s.current.Load()
	if keys == nil {
		return nil
	}
	age := s.now().Sub(keys.fetched)
	if age >= s.maxAge {
		return nil
	}
	if age > s.maxAge/5*4 && s.mu.TryLock() {
		s.begin()
		s.mu.Unlock()
	}
	return keys
}

// get returns keys that may be used, waiting shortly for them if need be, or
// [ErrUnavailable].
func (s *keySet) get(ctx context.Context) (*providerKeys, error) {
	if keys := s.fresh(); keys != nil {
		return keys, nil
	}
	s.mu.Lock()
	flight := s.begin()
	s.mu.Unlock()
	if err := flight.wait(ctx); err != nil {
		return nil, err
	}
	keys := s.current.Load()
	if keys == nil || s.now().Sub(keys.fetched) >= s.maxAge+s.grace {
		return nil, s.unavailable()
	}
	return keys, nil
}

// find returns the keys that a token may be signed with. If none fits and the
// token is otherwise in order, the provider is asked for newer ones, at most
// once in [missInterval].
func (s *keySet) find(ctx context.Context, t *signedToken, inOrder bool) ([]verificationKey, error) {
	keys, err := s.get(ctx)
	if err != nil {
		return nil, err
	}
	found, err := keys.find(t)
	if !errors.Is(err, errUnknownKey) || !inOrder || !t.hasKeyID {
		return found, err
	}
	s.mu.Lock()
	flight := s.flight
	if flight == nil && s.mayMiss(t.keyID) {
		if flight = s.begin(); flight != nil {
			s.missAt = s.now()
		}
	}
	away := flight == nil && s.failures > 0
	s.mu.Unlock()
	if away {
		return nil, s.unavailable() // a newer set might have it
	}
	if flight == nil {
		return nil, errUnknownKey
	}
	if err := flight.wait(ctx); err != nil {
		return nil, err
	}
	newer := s.current.Load()
	if newer == keys {
		return nil, s.unavailable()
	}
	if found, err = newer.find(t); errors.Is(err, errUnknownKey) {
		s.remember(t.keyID)
	}
	return found, err
}

// mayMiss reports whether an unknown key may cause a fetch. s.mu is held.
func (s *keySet) mayMiss(id string) bool {
	now := s.now()
	if now.Sub(s.missAt) < missInterval && !now.Before(s.missAt) {
		return false
	}
	at, known := s.missed[id]
	return !known || now.Sub(at) > missMemory
}

// remember notes that not even a fresh set had a key.
func (s *keySet) remember(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.missed == nil || len(s.missed) >= maxMissed {
		s.missed = make(map[string]time.Time)
	}
	s.missed[id] = s.now()
}

// begin starts a fetch unless one is under way, and returns it; nil if it is
// too early after a failure. s.mu is held.
func (s *keySet) begin() *keyFlight {
	if s.flight == nil && !s.now().Before(s.retryAt) {
		s.flight = &keyFlight{done: make(chan struct{})}
		go s.run(s.flight)
	}
	return s.flight
}

func (s *keySet) run(flight *keyFlight) {
	// The request that caused the fetch may end; others wait for it too.
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(flight.done)
	s.flight = nil
	if err != nil {
		delay := retryMost
		if s.failures < 5 {
			delay = min(retryFirst<<s.failures, retryMost)
		}
		s.failures++
		s.retryAt, s.lastErr = s.now().Add(delay), err
		s.failed(err, delay)
		return
	}
	s.failures, s.retryAt, s.lastErr = 0, time.Time{}, nil
	old := s.current.Swap(keys)
	if old == nil {
		return
	}
	for _, k := range old.list {
		if !keys.has(k) {
			s.withdrawn() // after the swap: see [TokenCache.PutGeneration]
			return
		}
	}
}

// wait waits for the fetch to end, however it ends, for a short time. The
// first who waits in vain spares those who follow.
func (f *keyFlight) wait(ctx context.Context) error {
	if f == nil || f.slow.Load() {
		return nil
	}
	timer := time.NewTimer(keyWait)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
		f.slow.Store(true)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	return nil
}

// unavailable says why there are no keys.
func (s *keySet) unavailable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastErr != nil {
		return fmt.Errorf("%w: keys of the provider cannot be fetched: %w", ErrUnavailable, s.lastErr)
	}
	return fmt.Errorf("%w: keys of the provider are still being fetched", ErrUnavailable)
}

// keepTrying fetches the keys until that has succeeded once or ctx ends.
func (s *keySet) keepTrying(ctx context.Context) {
	for s.current.Load() == nil {
		s.mu.Lock()
		flight, pause := s.begin(), s.retryAt.Sub(s.now())
		s.mu.Unlock()
		if flight != nil {
			select {
			case <-flight.done:
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case <-time.After(max(pause, 10*time.Millisecond)):
		case <-ctx.Done():
			return
		}
	}
}
