// Package boltstore keeps documents in one file, for one gateway: a bbolt
// database, which is written so that a crash at any moment leaves it whole.
//
// What others do to the file does not: it may be cut off, copied while it is
// written to, or replaced. That is found out and said, with the path and what to
// do, before anything is written on top of it.
package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/internal/engine"
)

// tombstoneAge is how long it is known that a document was deleted.
const tombstoneAge = time.Hour

// Store is a [store.Store] in a file. It is made by [Open].
type Store struct {
	db    *bbolt.DB
	path  string
	bell  engine.Bell
	group *engine.Group
	now   func() time.Time

	file   *os.File // the library's, which is closed with it
	info   os.FileInfo
	length atomic.Int64 // of the file, as far as it was written
	stop   context.CancelFunc

	broken atomic.Pointer[error] // why nothing can be written any more
	dead   atomic.Pointer[error] // why nothing can be read any more, either
}

// Load returns a realm's documents.
func (s *Store) Load(_ context.Context, name string) (documents []store.Document, at store.Position, err error) {
	err = s.view(name, func(r realm) error {
		at = r.position()
		return r.documents.ForEach(func(k, v []byte) error {
			d, _, err := r.decode(k, v)
			if err == nil && d.Data != nil {
				documents = append(documents, d)
			}
			return err
		})
	})
	return documents, at, err
}

// Apply changes documents.
func (s *Store) Apply(ctx context.Context, name string, changes []store.Change, history ...store.Entry) (uint64, error) {
	return s.group.Apply(ctx, name, changes, history)
}

// commit writes what calls come to, in one transaction.
func (s *Store) commit(name string, calls []*engine.Call) error {
	err := s.update(func(tx *bbolt.Tx) error {
		r, err := realmForWriting(tx, name)
		if err != nil {
			return err
		}
		writes, err := engine.Decide(r.number(sequenceKey), calls, r.revision)
		if err != nil {
			return err
		}
		return r.write(writes, s.now())
	})
	if err == nil {
		s.bell.Ring()
	}
	return err
}

// update writes, if the file is the one that was opened, before and after.
func (s *Store) update(write func(*bbolt.Tx) error) error {
	if err := s.writable(); err != nil {
		return err
	}
	var transaction int
	err := s.guarded(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			transaction = tx.ID()
			return write(tx)
		})
	})
	if err != nil {
		return s.failed(err, transaction)
	}
	if err := s.there(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	if info, err := s.file.Stat(); err == nil {
		s.length.Store(info.Size())
	}
	return nil
}

// writable reports why nothing may be written, if that is so.
func (s *Store) writable() error {
	for _, reason := range []*error{s.dead.Load(), s.broken.Load()} {
		if reason != nil {
			return *reason
		}
	}
	return s.there()
}

// failed turns the error of a transaction into ours. If the transaction can be
// seen all the same, it is not known whether the disk has it, nor what else the
// disk has lost: nothing is written any more until the file is opened again.
func (s *Store) failed(err error, transaction int) error {
	err = s.explain(err)
	if s.dead.Load() != nil {
		return err
	}
	var seen int
	_ = s.guarded(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			seen = tx.ID()
			return nil
		})
	})
	if transaction > 0 && seen >= transaction {
		reason := unsure(s.path, err)
		s.broken.Store(&reason)
		return fmt.Errorf("%w: %w", store.ErrUnknown, reason)
	}
	return err
}

// Watch delivers changes.
func (s *Store) Watch(ctx context.Context, name string, after store.Position, deliver func(store.Batch)) error {
	return s.bell.Watch(ctx, after, func(after store.Position) (store.Batch, error) {
		if err := s.there(); err != nil {
			return store.Batch{}, err
		}
		var batch store.Batch
		err := s.view(name, func(r realm) (err error) {
			at := r.position()
			batch.Sequence, batch.Mark = at.Sequence, at.Mark
			if err := engine.Known(after, at.Sequence, r.number(trimmedKey), r.mark(after.Sequence)); err != nil {
				return err
			}
			batch.Documents, err = r.since(after.Sequence)
			return err
		})
		return batch, err
	}, deliver)
}

// History returns a page of the history.
func (s *Store) History(_ context.Context, name, before string, limit int) (page []store.Entry, err error) {
	err = s.view(name, func(r realm) (err error) {
		page, err = r.page(before, limit)
		return err
	})
	return page, err
}

// Trim forgets old history and deletions.
func (s *Store) Trim(_ context.Context, name, before string) error {
	if err := engine.CheckRealm(name); err != nil {
		return err
	}
	return s.update(func(tx *bbolt.Tx) error {
		r, err := realmForWriting(tx, name)
		if err != nil {
			return err
		}
		return r.trim(before, s.now().Add(-tombstoneAge))
	})
}

// Close waits for what is being written and closes the file.
func (s *Store) Close() error {
	s.group.Close()
	s.bell.Close()
	s.stop()
	closed := make(chan error, 1)
	go func() { closed <- guard(s.db.Close) }()
	if s.dead.Load() == nil {
		return s.explain(<-closed)
	}
	select {
	case err := <-closed:
		return s.explain(err)
	case <-time.After(time.Second): // the library holds locks that nobody gives back
		return nil
	}
}

// view reads a realm; of one that nobody has written to, nothing.
func (s *Store) view(name string, read func(realm) error) error {
	if err := engine.CheckRealm(name); err != nil {
		return err
	}
	return s.read(func(tx *bbolt.Tx) error {
		r, ok := realmForReading(tx, name)
		if !ok {
			return read(realm{})
		}
		return read(r)
	})
}

// read reads in one transaction.
func (s *Store) read(f func(*bbolt.Tx) error) error {
	if dead := s.dead.Load(); dead != nil {
		return *dead
	}
	return s.explain(s.guarded(func() error { return s.db.View(f) }))
}

// guarded runs what calls the library. If that panics, or the memory which the
// file is mapped into has nothing behind it, the store is of no use any more,
// and the process goes on.
func (s *Store) guarded(f func() error) error {
	err := guard(f)
	if errors.Is(err, errPanic) {
		err = s.explain(fmt.Errorf("%w: %w: stop the gateway, look at the file with `caddy registry-auth state verify`, and restore a backup", store.ErrDamaged, err))
		s.dead.Store(&err)
		s.bell.Ring()
	}
	return err
}

// errPanic: the library gave up.
var errPanic = errors.New("reading it failed")

// guard turns a panic, and a fault of memory, into an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	return f()
}

var _ store.Store = (*Store)(nil)
