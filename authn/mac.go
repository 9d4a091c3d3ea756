package authn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// processMAC is HMAC-SHA256 with a key that was made for it and dies with the
// process. What it returns stands for secrets in memory without being of use
// to whoever reads that memory's dump elsewhere.
type processMAC struct{ pool sync.Pool }

func newProcessMAC() *processMAC {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &processMAC{pool: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// sum is the HMAC over the length-prefixed parts: no two lists of parts have
// the same text, however they are cut.
func (m *processMAC) sum(parts ...string) (sum cacheKey) {
	mac := m.pool.Get().(hash.Hash) //nolint:forcetypeassert // the pool holds nothing else
	defer m.pool.Put(mac)
	mac.Reset()
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write(bytesOf(part))
	}
	mac.Sum(sum[:0])
	return sum
}
