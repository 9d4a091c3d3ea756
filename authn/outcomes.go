package authn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
)

// outcomeEntries is how many outcomes are remembered of one system.
const outcomeEntries = 8192

// outcomes asks a system elsewhere (a directory, an identity provider) about
// passwords and remembers what it said, so that a client which sends its
// password with every request is not a question every time, and goes on while
// that system is away. Passwords are not kept: entries are found by an HMAC.
// It is safe for concurrent use.
type outcomes struct {
	entries *cache[saidOf]
	macs    *processMAC
	flights singleflight.Group
	pool    *HashPool     // bounds how many questions are under way
	timeout time.Duration // of one question
	keep    time.Duration // a refusal is remembered for so long
	now     func() time.Time
}

// saidOf is what was said about a password.
type saidOf struct {
	principal *Principal
	err       error
}

func newOutcomes(questions int, timeout, keep time.Duration, now func() time.Time) *outcomes {
	pool := NewHashPool(questions)
	pool.patience = pool.wait // a question takes no time of ours, unless the system is away
	return &outcomes{
		entries: newCache[saidOf](outcomeEntries), macs: newProcessMAC(), pool: pool,
		timeout: timeout, keep: keep, now: now,
	}
}

// ask answers from memory or by question, which says until when its answer may
// be used. Equal questions that are under way are asked once. That it could
// not be answered is never remembered.
func (o *outcomes) ask(ctx context.Context, c *Credential, question func(context.Context) (*Principal, time.Time, error)) (*Principal, error) {
	key := o.macs.sum(c.Username, c.Secret)
	if known, ok := o.entries.get(&key, o.now()); ok {
		return known.principal, known.err
	}
	done := o.flights.DoChan(string(key[:]), func() (any, error) {
		// Whoever looked before the flight ahead of this one had landed.
		if known, ok := o.entries.get(&key, o.now()); ok {
			return known.principal, known.err
		}
		// Not the context of whoever came first: he may leave.
		ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
		defer cancel()
		var p *Principal
		var until time.Time
		var err error
		switch busy := o.pool.Do(ctx, Claimant{From: c.Remote, Account: c.Username}, func() bool {
			p, until, err = question(ctx)
			return !errors.Is(err, ErrInvalid)
		}); {
		case errors.Is(busy, ErrBusy):
			return nil, busy
		case busy != nil:
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, busy)
		}
		now := o.now()
		if err != nil {
			p, until = nil, now.Add(o.keep)
		} else {
			p.Proven = now
		}
		if !errors.Is(err, ErrUnavailable) && until.After(now) {
			o.entries.put(o.entries.generation.Load(), &key, saidOf{p, err}, now, until)
		}
		return p, err
	})
	select {
	case r := <-done:
		p, _ := r.Val.(*Principal)
		return p, r.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// isPassword reports whether a credential may be a password that another
// system knows: not what has the shape of a token or of a secret of ours, and
// not with a login name of robots. Those are never shown to anybody else.
func isPassword(c *Credential) bool {
	if c.Scheme != SchemeBasic || c.Username == "" || c.Secret == "" || looksLikeJWT(c.Secret) {
		return false
	}
	if _, ours := secretKind(c.Secret); ours {
		return false
	}
	return !c.robots.isRobots(c.Username) && checkUserName(c.Username) == nil
}
