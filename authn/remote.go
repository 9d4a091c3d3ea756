package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
)

const (
	// remoteEntries is how many answers are remembered.
	remoteEntries = 8 << 10
	// remoteNegative is how long a refusal is: long enough for a client that
	// tries the same in a loop, short enough for who corrects a mistake.
	remoteNegative = 5 * time.Second
	// remoteConcurrent is how many questions are under way by default.
	remoteConcurrent = 32
)

// answer is what a service said of a credential: who it is, or why not. It is
// good for keep.
type answer struct {
	principal *Principal
	err       error // ErrNotMine, ErrInvalid …, never ErrUnavailable
	keep      time.Duration
}

// remote asks a service who shows a credential: each credential once at a
// time, a bounded number at once, not at all while the service is down, and
// not again while an answer is good. Credentials are not kept: answers are
// found by an HMAC. It is safe for concurrent use.
type remote struct {
	name    string
	client  *http.Client
	answers *cache[answer]
	macs    *processMAC
	flights singleflight.Group
	pool    *HashPool // bounds how many questions are under way, and is fair
	breaker breaker
	now     func() time.Time
	log     *zap.Logger
}

func newRemote(name string, timeout time.Duration, concurrent int, o Options) *remote {
	r := &remote{
		name: name, client: providerClient(o.Transport), answers: newCache[answer](remoteEntries),
		macs: newProcessMAC(), pool: NewHashPool(concurrent), now: o.Now, log: o.Logger,
	}
	r.pool.patience, r.pool.budget.off = r.pool.wait, true // it is the service's time, and tokens are no guesses
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = zap.NewNop()
	}
	r.client.Timeout = timeout
	return r
}

// who returns the answer to a question that the parts stand for. It comes from
// memory or from put, whose own errors mean that there is no answer. Of those
// who wait for an answer, the places and accounts that were wrong the least
// lately come first.
func (r *remote) who(ctx context.Context, claimant Claimant, put func(context.Context) (answer, error), parts ...string) (*Principal, error) {
	key := r.macs.sum(parts...)
	if a, known := r.answers.get(&key, r.now()); known {
		return a.principal, a.err
	}
	done := r.flights.DoChan(string(key[:]), func() (any, error) {
		// Not the context of whoever came first: he may leave.
		ctx := context.WithoutCancel(ctx)
		var a answer
		var err error
		if busy := r.pool.Do(ctx, claimant, func() bool {
			a, err = r.fetch(ctx, put, &key)
			return err != nil || a.err == nil
		}); busy != nil {
			return nil, busy
		}
		return a, err
	})
	select {
	case result := <-done:
		if result.Err != nil {
			return nil, result.Err
		}
		a, _ := result.Val.(answer)
		return a.principal, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

func (r *remote) fetch(ctx context.Context, put func(context.Context) (answer, error), key *cacheKey) (answer, error) {
	if !r.breaker.admits(r.now()) {
		return answer{}, fmt.Errorf("%w: the service has failed %d times in a row and is left alone for a moment", ErrUnavailable, breakerLimit)
	}
	a, err := put(ctx)
	now := r.now()
	if r.breaker.note(err == nil, now) {
		r.log.Warn("service fails and is left alone", zap.String("authenticator", r.name), zap.Duration("retry_in", breakerPause), zap.Error(err))
	}
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrUnavailable, shortened(withoutURL(err)))
	}
	if a.err == nil && !a.principal.Expires.IsZero() {
		a.keep = min(a.keep, a.principal.Expires.Sub(now))
	}
	if a.keep > 0 {
		r.answers.put(r.answers.generation.Load(), key, a, now, now.Add(a.keep))
	}
	return a, nil
}

// withoutURL takes the address out of a client's error: it may have secrets.
func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
