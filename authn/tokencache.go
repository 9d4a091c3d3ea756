package authn

import (
	"crypto/sha256"
	"time"
	"unsafe"
)

// TokenCache remembers tokens whose signature and claims were found good, so
// that a client which shows the same token with every request pays for the
// check once. It is keyed by the SHA-256 of the whole token, bounded, and
// takes no lock. It is safe for concurrent use.
type TokenCache struct{ entries *cache[*Principal] }

// NewTokenCache makes a cache for limit tokens (rounded up to a power of two).
func NewTokenCache(limit int) *TokenCache {
	return &TokenCache{entries: newCache[*Principal](limit)}
}

// Get returns the principal of a token that was put and is still good at now.
func (c *TokenCache) Get(token string, now time.Time) (*Principal, bool) {
	key := digest(token)
	return c.entries.get(&key, now)
}

// Put remembers a verified token until the given time, its expiry plus leeway.
// Use [TokenCache.PutGeneration] where keys can be withdrawn meanwhile.
func (c *TokenCache) Put(token string, p *Principal, until time.Time) {
	c.PutGeneration(c.Generation(), token, p, until)
}

// Generation returns a number that [TokenCache.Drop] changes. Read it before
// the keys that a check is going to use.
func (c *TokenCache) Generation() uint64 { return c.entries.generation.Load() }

// PutGeneration is Put, but remembers nothing if the cache was emptied since
// the generation was read: a check that was made with a key which has been
// withdrawn in the meantime must not survive.
func (c *TokenCache) PutGeneration(generation uint64, token string, p *Principal, until time.Time) {
	key := digest(token)
	c.entries.put(generation, &key, p, time.Now(), until)
}

// Drop forgets everything, for example because a signing key was withdrawn.
func (c *TokenCache) Drop() { c.entries.drop() }

// digest is the SHA-256 of a string.
func digest(s string) cacheKey { return sha256.Sum256(bytesOf(s)) }

// bytesOf returns the bytes of a string in place, to be read only: a copy of
// the token for every request would be the only allocation of a hit.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
