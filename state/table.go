package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Table is all records of one kind, in memory. It is read without a lock; it
// changes when the store says so, and at once by this process's own commits.
type Table[T any] struct {
	kind  string
	items *livemap[string, *Item[T]]
	hooks []func(before, after *Item[T])
}

// Item is a record as it is stored. It is immutable: to change it, commit a
// changed copy of the value.
type Item[T any] struct {
	ID       string
	Revision uint64 // of the change that wrote it
	Value    *T     // nil: deleted, and only remembered for its revision
}

// newTable makes the table of a kind and lets the state feed it.
func newTable[T any](s *State, kind string) *Table[T] {
	t := &Table[T]{kind: kind, items: newLivemap[string, *Item[T]](&s.filled, itself)}
	s.tables[kind] = t
	return t
}

// Kind returns the kind of the records.
func (t *Table[T]) Kind() string { return t.kind }

// Get returns the record with an id.
func (t *Table[T]) Get(id string) (*Item[T], bool) {
	item, ok := t.items.get(id)
	return item, ok && item.Value != nil
}

// All returns the records in no particular order.
func (t *Table[T]) All() iter.Seq[*Item[T]] {
	return func(yield func(*Item[T]) bool) {
		t.items.all(func(_ string, item *Item[T]) bool { return item.Value == nil || yield(item) })
	}
}

// Sorted returns the records in the order of their ids.
func (t *Table[T]) Sorted() []*Item[T] {
	list := make([]*Item[T], 0, t.items.len())
	for item := range t.All() {
		list = append(list, item)
	}
	slices.SortFunc(list, func(a, b *Item[T]) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// onChange calls hook for every change of a record from now on: indexes are
// kept by it. Before is nil for a new record, after for a deleted one. Hooks
// are called one at a time.
func (t *Table[T]) onChange(hook func(before, after *Item[T])) { t.hooks = append(t.hooks, hook) }

// read decodes a document; it may be called concurrently.
func (t *Table[T]) read(d store.Document) (any, error) {
	item := &Item[T]{ID: d.ID, Revision: d.Revision}
	var err error
	if d.Data != nil {
		// A record that can't be read counts as deleted: what it allowed
		// before must not go on.
		item.Value, err = decode[T](d)
		if p, ok := any(item.Value).(preparer); ok && err == nil {
			p.prepare()
		}
	}
	return item, err
}

// preparer is a record with something that is worked out once, when it is read.
type preparer interface{ prepare() }

// take brings the table up to an item that read returned. What is older than
// what is known is passed over, since a process sees its own changes before
// the store tells, unless the store was restored.
func (t *Table[T]) take(item any, restored bool) {
	after, _ := item.(*Item[T])
	before, known := t.items.get(after.ID)
	if known && before.Revision >= after.Revision && !restored {
		return
	}
	t.items.set(after.ID, after)
	if !known || before.Value == nil {
		before = nil
	}
	if after.Value == nil {
		after = nil
	}
	if before != nil || after != nil {
		for _, hook := range t.hooks {
			hook(before, after)
		}
	}
}

// forget drops the memory of a deleted record.
func (t *Table[T]) forget(id string, until uint64) {
	if item, ok := t.items.get(id); ok && item.Value == nil && item.Revision <= until {
		t.items.remove(id)
	}
}

// ids returns the ids of the records that are there.
func (t *Table[T]) ids() []string {
	var list []string
	for item := range t.All() {
		list = append(list, item.ID)
	}
	return list
}

// table is what the state needs of a [Table], whatever its records.
type table interface {
	read(d store.Document) (any, error)
	take(item any, restored bool)
	forget(id string, until uint64)
	ids() []string
}

// version is the version of the format of records.
const version = 1

// envelope is a record as it is stored.
type envelope struct {
	Version int             `json:"v"`
	Record  json.RawMessage `json:"r"`
}

// ErrVersion: a record was written by a newer version of the program.
var ErrVersion = errors.New("record of a newer version")

func encode(value any) ([]byte, error) {
	record, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{Version: version, Record: record})
}

// plain is how a record begins that this program wrote: most are read without
// looking at them twice.
var plain = []byte(`{"v":1,"r":`)

func decode[T any](d store.Document) (*T, error) {
	if rest, ok := bytes.CutPrefix(d.Data, plain); ok && bytes.HasSuffix(rest, []byte("}")) {
		value := new(T)
		if json.Unmarshal(rest[:len(rest)-1], value) == nil {
			return value, nil
		}
	}
	var e envelope
	if err := json.Unmarshal(d.Data, &e); err != nil {
		return nil, fmt.Errorf("%s %q: %w", d.Kind, d.ID, err)
	}
	if e.Version > version {
		return nil, fmt.Errorf("%s %q: %w: version %d, this program knows up to %d: upgrade it", d.Kind, d.ID, ErrVersion, e.Version, version)
	}
	value := new(T)
	if err := json.Unmarshal(e.Record, value); err != nil {
		return nil, fmt.Errorf("%s %q: %w", d.Kind, d.ID, err)
	}
	return value, nil
}

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
