// Package boltstore keeps documents in one file, for one gateway: a bbolt
// database, which is written so that a crash at any moment leaves it whole.
package boltstore

import (
	"context"
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
	db     *bbolt.DB
	path   string
	bell   engine.Bell
	group  *engine.Group
	now    func() time.Time
	broken atomic.Pointer[error] // why nothing can be written any more
}

// Load returns a realm's documents.
func (s *Store) Load(_ context.Context, name string) (documents []store.Document, sequence uint64, err error) {
	err = s.view(name, func(r realm) error {
		sequence = r.number(sequenceKey)
		return r.documents.ForEach(func(k, v []byte) error {
			d, _, err := decode(k, v)
			if err == nil && d.Data != nil {
				documents = append(documents, d)
			}
			return err
		})
	})
	return documents, sequence, err
}

// Apply changes documents.
func (s *Store) Apply(ctx context.Context, name string, changes []store.Change, history ...store.Entry) (uint64, error) {
	return s.group.Apply(ctx, name, changes, history)
}

// commit writes what calls come to, in one transaction.
func (s *Store) commit(name string, calls []*engine.Call) error {
	if broken := s.broken.Load(); broken != nil {
		return *broken
	}
	var transaction int
	err := s.db.Update(func(tx *bbolt.Tx) error {
		transaction = tx.ID()
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
	if err != nil {
		return s.failed(err, transaction)
	}
	s.bell.Ring()
	return nil
}

// failed turns the error of a transaction into ours. If the transaction can be
// seen all the same, it is not known whether the disk has it, nor what else the
// disk has lost: nothing is written any more until the file is opened again.
func (s *Store) failed(err error, transaction int) error {
	err = s.explain(err)
	var seen int
	_ = s.db.View(func(tx *bbolt.Tx) error {
		seen = tx.ID()
		return nil
	})
	if transaction > 0 && seen >= transaction {
		err = unsure(s.path, err)
		s.broken.Store(&err)
	}
	return err
}

// Watch delivers changes.
func (s *Store) Watch(ctx context.Context, name string, after uint64, deliver func(store.Batch)) error {
	return s.bell.Watch(ctx, after, func(after uint64) (store.Batch, error) {
		var batch store.Batch
		err := s.view(name, func(r realm) (err error) {
			batch.Sequence = r.number(sequenceKey)
			if err := engine.Known(after, batch.Sequence, r.number(trimmedKey)); err != nil {
				return err
			}
			batch.Documents, err = r.since(after)
			return err
		})
		return batch, err
	}, deliver)
}

// History returns a page of the history.
func (s *Store) History(_ context.Context, name, before string, limit int) (page []store.Entry, err error) {
	err = s.view(name, func(r realm) error {
		page = r.page(before, limit)
		return nil
	})
	return page, err
}

// Trim forgets old history and deletions.
func (s *Store) Trim(_ context.Context, name, before string) error {
	if err := engine.CheckRealm(name); err != nil {
		return err
	}
	if broken := s.broken.Load(); broken != nil {
		return *broken
	}
	var transaction int
	err := s.db.Update(func(tx *bbolt.Tx) error {
		transaction = tx.ID()
		r, err := realmForWriting(tx, name)
		if err != nil {
			return err
		}
		return r.trim(before, s.now().Add(-tombstoneAge))
	})
	if err != nil {
		return s.failed(err, transaction)
	}
	return nil
}

// Close waits for what is being written and closes the file.
func (s *Store) Close() error {
	s.group.Close()
	s.bell.Close()
	return s.explain(s.db.Close())
}

// view reads a realm; of one that nobody has written to, nothing.
func (s *Store) view(name string, read func(realm) error) error {
	if err := engine.CheckRealm(name); err != nil {
		return err
	}
	return s.explain(s.db.View(func(tx *bbolt.Tx) error {
		r, ok := realmForReading(tx, name)
		if !ok {
			return read(realm{})
		}
		return read(r)
	}))
}

var _ store.Store = (*Store)(nil)
