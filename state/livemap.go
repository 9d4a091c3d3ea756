package state

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
)

// livemap is a map that is read without a lock and without allocating, while
// it changes: it is cut into pieces, and a change replaces the piece it is in.
// A piece of a hundred thousand entries has about fifty.
type livemap[K comparable, V any] struct {
	seed   maphash.Seed
	by     func(K) string // the part of a key that tells most of them apart
	write  sync.Mutex
	pieces [pieces]atomic.Pointer[map[K]V]
	count  atomic.Int64
	filled *atomic.Bool // false while nobody reads: pieces are filled in place
}

const pieces = 2048

// itself is by of maps whose keys are text.
func itself(key string) string { return key }

func newLivemap[K comparable, V any](filled *atomic.Bool, by func(K) string) *livemap[K, V] {
	return &livemap[K, V]{by: by, seed: maphash.MakeSeed(), filled: filled}
}

func (m *livemap[K, V]) piece(key K) *atomic.Pointer[map[K]V] {
	return &m.pieces[maphash.String(m.seed, m.by(key))%pieces]
}

// get returns the value of a key.
func (m *livemap[K, V]) get(key K) (V, bool) {
	if p := m.piece(key).Load(); p != nil {
		v, ok := (*p)[key]
		return v, ok
	}
	var none V
	return none, false
}

// set changes the value of a key.
func (m *livemap[K, V]) set(key K, value V) {
	m.write.Lock()
	defer m.write.Unlock()
	at := m.piece(key)
	next := map[K]V{}
	if p := at.Load(); p != nil {
		if next = *p; m.filled.Load() {
			next = maps.Clone(*p)
		}
	}
	if _, known := next[key]; !known {
		m.count.Add(1)
	}
	next[key] = value
	at.Store(&next)
}

// remove forgets a key.
func (m *livemap[K, V]) remove(key K) {
	m.write.Lock()
	defer m.write.Unlock()
	at := m.piece(key)
	p := at.Load()
	if p == nil {
		return
	}
	if _, known := (*p)[key]; !known {
		return
	}
	next := maps.Clone(*p)
	delete(next, key)
	m.count.Add(-1)
	at.Store(&next)
}

// len returns how many entries there are.
func (m *livemap[K, V]) len() int { return int(m.count.Load()) }

// all calls yield for every entry, in no order, until it returns false.
func (m *livemap[K, V]) all(yield func(K, V) bool) {
	for i := range m.pieces {
		if p := m.pieces[i].Load(); p != nil {
			for k, v := range *p {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}
