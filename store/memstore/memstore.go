// Package memstore keeps documents in memory, for tests and for gateways that
// nobody minds starting afresh. "Survives" in the contract of [store.Store]
// does not hold for it.
package memstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/internal/engine"
)

// tombstoneAge is how long it is known that a document was deleted.
const tombstoneAge = time.Hour

// Store is a [store.Store] in memory.
type Store struct {
	bell engine.Bell
	now  func() time.Time

	mu     sync.RWMutex
	realms map[string]*realm
	closed bool
}

type realm struct {
	sequence, trimmed uint64

	documents map[store.Key]stored
	log       []store.Document // by revision; also what was superseded
	history   []store.Entry    // by id
	marks     map[uint64]uint64
}

type stored struct {
	store.Document
	deleted time.Time
}

// New returns an empty store.
func New() *Store { return &Store{now: time.Now, realms: map[string]*realm{}} }

// Load returns a realm's documents.
func (s *Store) Load(_ context.Context, name string) ([]store.Document, store.Position, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, err := s.realm(name)
	if err != nil {
		return nil, store.Position{}, err
	}
	documents := make([]store.Document, 0, len(r.documents))
	for _, d := range r.documents {
		if d.Data != nil {
			documents = append(documents, d.Document)
		}
	}
	return documents, r.position(), nil
}

// Apply changes documents.
func (s *Store) Apply(_ context.Context, name string, changes []store.Change, history ...store.Entry) (uint64, error) {
	if err := engine.Check(name, changes, history); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.realm(name)
	if err != nil {
		return 0, err
	}
	call := &engine.Call{Changes: changes, History: history}
	writes, err := engine.Decide(r.sequence, []*engine.Call{call}, r.revision)
	if err != nil {
		return 0, err
	}
	if call.Err != nil {
		return 0, call.Err
	}
	s.realms[name] = r
	r.write(writes, s.now())
	s.bell.Ring()
	return call.Sequence, nil
}

// Watch delivers changes.
func (s *Store) Watch(ctx context.Context, name string, after store.Position, deliver func(store.Batch)) error {
	return s.bell.Watch(ctx, after, func(after store.Position) (store.Batch, error) {
		s.mu.RLock()
		defer s.mu.RUnlock()
		r, err := s.realm(name)
		if err != nil {
			return store.Batch{}, err
		}
		if err := engine.Known(after, r.sequence, r.trimmed, r.marks[after.Sequence]); err != nil {
			return store.Batch{}, err
		}
		at := r.position()
		return store.Batch{Documents: r.since(after.Sequence), Sequence: at.Sequence, Mark: at.Mark}, nil
	}, deliver)
}

// History returns a page of the history.
func (s *Store) History(_ context.Context, name, before string, limit int) ([]store.Entry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, err := s.realm(name)
	if err != nil {
		return nil, err
	}
	end := len(r.history)
	if before != "" {
		end = r.entry(before)
	}
	page := slices.Clone(r.history[max(0, end-max(0, limit)):end])
	slices.Reverse(page)
	return page, nil
}

// Trim forgets old history and deletions.
func (s *Store) Trim(_ context.Context, name, before string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.realm(name)
	if err != nil {
		return err
	}
	r.history = slices.Delete(r.history, 0, r.entry(before))
	for k, d := range r.documents {
		if d.Data == nil && s.now().Sub(d.deleted) > tombstoneAge {
			delete(r.documents, k)
			r.trimmed = max(r.trimmed, d.Revision)
		}
	}
	maps.DeleteFunc(r.marks, func(sequence, _ uint64) bool { return sequence+engine.KeepMarks < r.sequence })
	return nil
}

// Save remembers what is in the store, and returns what puts it back: for tests
// of restored stores.
func (s *Store) Save() (restore func()) {
	clone := func(realms map[string]*realm) map[string]*realm {
		copied := map[string]*realm{}
		for name, r := range realms {
			c := *r
			c.documents, c.log, c.history, c.marks = maps.Clone(r.documents), slices.Clone(r.log), slices.Clone(r.history), maps.Clone(r.marks)
			copied[name] = &c
		}
		return copied
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	saved := clone(s.realms)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.realms = clone(saved)
	}
}

// Elapse moves the store's clock on, for tests of what Trim forgets.
func (s *Store) Elapse(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now
	s.now = func() time.Time { return now().Add(by) }
}

// Close ends every Watch and forgets everything.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed, s.realms = true, nil
	s.mu.Unlock()
	s.bell.Close()
	return nil
}

// realm returns a realm, which is new if nothing was written to it.
func (s *Store) realm(name string) (*realm, error) {
	if s.closed {
		return nil, store.ErrClosed
	}
	if r := s.realms[name]; r != nil {
		return r, nil
	}
	return &realm{documents: map[store.Key]stored{}, marks: map[uint64]uint64{}}, engine.CheckRealm(name)
}

// position is where the realm is now.
func (r *realm) position() store.Position {
	return store.Position{Sequence: r.sequence, Mark: r.marks[r.sequence]}
}

func (r *realm) revision(k store.Key) (uint64, error) {
	if d := r.documents[k]; d.Data != nil {
		return d.Revision, nil
	}
	return 0, nil
}

func (r *realm) write(w engine.Writes, now time.Time) {
	r.sequence = w.Sequence
	if w.Mark != 0 {
		r.marks[w.Sequence] = w.Mark
	}
	for _, d := range w.Documents {
		r.documents[d.Key] = stored{Document: d, deleted: now}
		r.log = append(r.log, d)
	}
	if len(r.log) > 64+2*len(r.documents) {
		r.log = slices.DeleteFunc(r.log, func(d store.Document) bool { return !r.last(d) })
	}
	for _, e := range w.History {
		if i := r.entry(e.ID); i == len(r.history) || r.history[i].ID != e.ID {
			r.history = slices.Insert(r.history, i, e)
		}
	}
}

// since returns the last state of what changed after a number.
func (r *realm) since(after uint64) (documents []store.Document) {
	from, _ := slices.BinarySearchFunc(r.log, after+1, func(d store.Document, n uint64) int { return cmp.Compare(d.Revision, n) })
	for _, d := range r.log[from:] {
		if r.last(d) {
			documents = append(documents, d)
		}
	}
	return documents
}

func (r *realm) last(d store.Document) bool { return r.documents[d.Key].Revision == d.Revision }

// entry is where in the history an entry with this id belongs.
func (r *realm) entry(id string) int {
	i, _ := slices.BinarySearchFunc(r.history, id, func(e store.Entry, id string) int { return cmp.Compare(e.ID, id) })
	return i
}

var _ store.Store = (*Store)(nil)
