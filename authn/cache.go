package authn

import (
	"context"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// ways is how many entries share one set of a [cache].
const ways = 8

// cacheKey is a digest of what is looked up. Being a digest it spreads evenly
// over the sets, and comparing it early-exit tells an attacker nothing.
type cacheKey [32]byte

// cache is a bounded table from digests to values that takes no lock: a slot
// is an atomic pointer to an entry which is never changed once it is stored.
// A key has ways slots to live in; when they are taken the least recently used
// entry gives way. Two writers that meet in one slot lose one entry, which
// costs its owner one more check and nothing else.
type cache[V any] struct {
	slots      []atomic.Pointer[cacheEntry[V]]
	mask       uint64 // number of sets - 1
	generation atomic.Uint64
}

type cacheEntry[V any] struct {
	key        cacheKey
	value      V
	until      int64 // Unix nanoseconds; not good from then on
	generation uint64
	used       atomic.Int64 // Unix seconds of the last hit, for eviction only
}

// newCache makes a cache of max entries, rounded up to a power of two.
func newCache[V any](limit int) *cache[V] {
	sets := 1 << bits.Len(uint(max(limit, 1)-1)/ways)
	return &cache[V]{slots: make([]atomic.Pointer[cacheEntry[V]], sets*ways), mask: uint64(sets - 1)}
}

// set returns the slots in which key may live.
func (c *cache[V]) set(key *cacheKey) []atomic.Pointer[cacheEntry[V]] {
	first := (binary.LittleEndian.Uint64(key[:]) & c.mask) * ways
	return c.slots[first : first+ways]
}

func (c *cache[V]) get(key *cacheKey, now time.Time) (value V, ok bool) {
	set := c.set(key)
	for i := range set {
		e := set[i].Load()
		if e == nil || e.key != *key {
			continue
		}
		if e.until <= now.UnixNano() || e.generation != c.generation.Load() {
			continue // two writers that met may have left another one
		}
		// Written once a second at most, so that readers on other cores
		// keep the line in their caches.
		if s := now.Unix(); e.used.Load() != s {
			e.used.Store(s)
		}
		return e.value, true
	}
	return value, false
}

// put stores value until the given time, unless the cache was emptied since
// the generation was read.
func (c *cache[V]) put(generation uint64, key *cacheKey, value V, now, until time.Time) {
	e := &cacheEntry[V]{key: *key, value: value, until: until.UnixNano(), generation: generation}
	e.used.Store(now.Unix())

	set, current := c.set(key), c.generation.Load()
	if generation != current {
		return
	}
	victim, oldest, placed := 0, int64(0), false
	for i := range set {
		old := set[i].Load()
		switch {
		case old != nil && old.key == *key && placed:
			set[i].CompareAndSwap(old, nil) // of two writers that met
		case old != nil && old.key == *key:
			set[i].Store(e)
			placed = true
		case old == nil || old.generation != current || old.until <= now.UnixNano():
			if oldest >= 0 {
				victim, oldest = i, -1 // free; go on looking for the key itself
			}
		case oldest >= 0 && (i == 0 || old.used.Load() < oldest):
			victim, oldest = i, old.used.Load()
		}
	}
	if !placed {
		set[victim].Store(e)
	}
}

// drop empties the cache, also of what checks that are under way now are
// going to put.
func (c *cache[V]) drop() { c.generation.Add(1) }

// Defaults of a [VerifiedCache]. A wrong answer is kept for a shorter time, so
// that guesses do not take the place of those who are right; it is enough for a
// client that keeps trying the same wrong password to cost next to nothing.
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
