package authn

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/sync/singleflight"
)

// Defaults of a [VerifiedCache]. A wrong answer is kept for a shorter time, so
// that guesses do not take the place of those who are right; it is enough for a
// client that tries the same wrong password for ever to cost next to nothing.
const (
	verifiedEntries  = 16 << 10
	verifiedPositive = 10 * time.Minute
	verifiedNegative = 2 * time.Minute
)

// VerifiedCache remembers the outcome of slow password checks, so that a
// client which sends its password with every request pays once. Secrets are
// not kept: entries are found by an HMAC over all that the outcome depends on,
// including the stored hash. A changed password or hash is therefore another
// entry, and nothing has to be invalidated. It is safe for concurrent use.
type VerifiedCache struct {
	entries            *cache[bool]
	macs               *processMAC
	flights            singleflight.Group
	positive, negative time.Duration
	now                func() time.Time
}

// NewVerifiedCache makes a bounded cache: 16,384 outcomes, right ones for ten
// minutes, wrong ones for two.
func NewVerifiedCache() *VerifiedCache {
	return &VerifiedCache{
		entries:  newCache[bool](verifiedEntries),
		macs:     newProcessMAC(),
		positive: verifiedPositive,
		negative: verifiedNegative,
		now:      time.Now,
	}
}

// Check is one question to a [VerifiedCache]: does user's secret, of this kind
// and in this realm, have this hash?
type Check struct {
	Kind, Realm, User string
	Secret            string
	Hash              Hash

	// From is the client's address, for its turn in the [HashPool].
	From netip.Addr
}

// Verify answers the check from memory or computes the hash in the pool. Equal
// checks that are under way are computed once. It returns [ErrBusy] as the
// pool does; when ctx ends, the caller gets its error, but the computation goes
// on for the others that wait for it, and its outcome is kept: a client that
// hangs up is never taken for one that was wrong.
func (c *VerifiedCache) Verify(ctx context.Context, pool *HashPool, check Check) (bool, error) {
	key := c.macs.sum(check.Kind, check.Realm, check.User, check.Secret, check.Hash.stored())
	if ok, known := c.entries.get(&key, c.now()); known {
		return ok, nil
	}
	done := c.flights.DoChan(string(key[:]), func() (any, error) {
		// The flight before this one may just have ended.
		ok, known := c.entries.get(&key, c.now())
		if known {
			return ok, nil
		}
		// Not the context of whoever came first: he may leave.
		err := pool.Do(context.Background(), Claimant{From: check.From, Account: check.User}, func() bool {
			ok = check.Hash.Matches(check.Secret)
			return ok
		})
		if err != nil {
			return false, err
		}
		now, keep := c.now(), c.negative
		if ok {
			keep = c.positive
		}
		c.entries.put(c.entries.generation.Load(), &key, ok, now, now.Add(keep))
		return ok, nil
	})
	select {
	case r := <-done:
		ok, _ := r.Val.(bool)
		return ok, r.Err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
