package authn

import (
	"sync"
	"time"
)

// When a service that fails is left alone, and for how long.
const (
	breakerLimit  = 5
	breakerWindow = 30 * time.Second
	breakerPause  = 30 * time.Second
)

// breaker keeps questions away from a service that fails: after five failures
// within half a minute nothing is asked for half a minute, then one question
// at a time until one is answered. The zero value is closed, that is at work.
type breaker struct {
	mu       sync.Mutex
	failures int
	first    time.Time // of the failures
	open     time.Time // no question before; zero: closed
}

// admits reports whether a question may be asked.
func (b *breaker) admits(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.IsZero() {
		return true
	}
	if now.Before(b.open) {
		return false
	}
	b.open = now.Add(breakerPause) // the others wait for what this one finds
	return true
}

// note takes note of how a question ended; it reports whether that opened the
// breaker.
func (b *breaker) note(ok bool, now time.Time) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ok {
		b.failures, b.open = 0, time.Time{}
		return false
	}
	if b.failures == 0 || now.Sub(b.first) > breakerWindow {
		b.failures, b.first = 0, now
	}
	b.failures++
	if b.failures < breakerLimit && b.open.IsZero() {
		return false
	}
	opened = b.open.IsZero()
	b.open = now.Add(breakerPause)
	return opened
}
