package authn

import (
	"context"
	"encoding/binary"
	"fmt"
)

// passwordMatcher compares passwords with stored hashes: slow ones in a pool,
// with a memory of their outcomes.
type passwordMatcher struct {
	pool  *HashPool
	cache *VerifiedCache
}

// newPasswordMatcher takes ones of its own for what is nil.
func newPasswordMatcher(pool *HashPool, cache *VerifiedCache) *passwordMatcher {
	if pool == nil {
		pool = NewHashPool(0)
	}
	if cache == nil {
		cache = NewVerifiedCache()
	}
	return &passwordMatcher{pool: pool, cache: cache}
}

// matches reports whether what c shows has this hash. Whether the account is
// there is not looked at: it is also asked with the hash of somebody else.
func (m *passwordMatcher) matches(ctx context.Context, kind string, c *Credential, h Hash) (bool, error) {
	if !h.Slow() {
		return h.Matches(c.Secret), nil
	}
	ok, err := m.cache.Verify(ctx, m.pool, Check{Kind: kind, User: c.Username, Secret: c.Secret, Hash: h, From: c.Remote})
	if err != nil && ctx.Err() != nil {
		return false, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return ok, err
}

// pretending is the key by which unknown accounts are given the looks of known
// ones: it outlives configurations, for the looks must not change with them.
var pretending = newProcessMAC()

// pretend picks one of n, always the same for the same words.
func pretend(n int, words ...string) int {
	sum := pretending.sum(words...)
	return int(binary.LittleEndian.Uint64(sum[:]) % uint64(n))
}
