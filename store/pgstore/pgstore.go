// Package pgstore keeps documents in PostgreSQL, for any number of gateways on
// one state.
//
// Whoever changes a realm locks its row, so that changes become visible in the
// order of their numbers. Watchers are told with NOTIFY, and look for
// themselves twice a second in case they were not.
package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/internal/engine"
)

// How long the database may take, in all.
const (
	readLimit = time.Minute // for Load, and for changes after a long absence
	limit     = 10 * time.Second
	// How long it is tried to find out what became of a transaction.
	settleLimit = 3 * time.Second
	settleEvery = 100 * time.Millisecond
)

// Store is a [store.Store] in PostgreSQL. It is made by [Open].
type Store struct {
	pool   *pgxpool.Pool
	config *pgx.ConnConfig
	prefix string // of the names of tables
	group  *engine.Group
	silent bool // tests: say nothing to watchers

	open  context.Context // done once the store is closed
	close context.CancelFunc
}

// Load returns a realm's documents.
func (s *Store) Load(ctx context.Context, realm string) ([]store.Document, store.Position, error) {
	if err := engine.CheckRealm(realm); err != nil {
		return nil, store.Position{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	rows, err := s.pool.Query(ctx, s.sql(loadSQL), realm)
	if err != nil {
		return nil, store.Position{}, s.explain(err)
	}
	found, err := collect(rows)
	if err != nil {
		return nil, store.Position{}, s.explain(err)
	}
	return found.Documents, found.Position(), nil
}

// Apply changes documents.
func (s *Store) Apply(ctx context.Context, realm string, changes []store.Change, history ...store.Entry) (uint64, error) {
	return s.group.Apply(ctx, realm, changes, history)
}

// History returns a page of the history.
func (s *Store) History(ctx context.Context, realm, before string, entries int) ([]store.Entry, error) {
	if err := engine.CheckRealm(realm); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	query, arguments := newestSQL, []any{realm, max(0, entries)}
	if before != "" {
		query, arguments = pageSQL, append(arguments, before)
	}
	rows, err := s.pool.Query(ctx, s.sql(query), arguments...)
	if err != nil {
		return nil, s.explain(err)
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e store.Entry, err error) {
		err = row.Scan(&e.ID, &e.Data)
		return e, err
	})
	return page, s.explain(err)
}

// Trim forgets old history, in portions, and deletions.
func (s *Store) Trim(ctx context.Context, realm, before string) error {
	if err := engine.CheckRealm(realm); err != nil {
		return err
	}
	for left := true; left; {
		tag, err := s.exec(ctx, trimHistorySQL, realm, before)
		if err != nil {
			return s.explain(err)
		}
		left = tag > 0
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.explain(twice(func() error {
		batch := new(pgx.Batch)
		batch.Queue(beginSQL)
		batch.Queue(s.sql(onlyLockSQL), realm)
		batch.Queue(s.sql(trimDocumentsSQL), realm)
		batch.Queue(s.sql(trimMarksSQL), realm, engine.KeepMarks)
		batch.Queue("COMMIT")
		return s.pool.SendBatch(ctx, batch).Close()
	}))
}

// exec runs one statement and returns how many rows it was about.
func (s *Store) exec(ctx context.Context, statement string, arguments ...any) (rows int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = twice(func() error {
		tag, err := s.pool.Exec(ctx, s.sql(statement), arguments...)
		rows = tag.RowsAffected()
		return err
	})
	return rows, err
}

// Close waits for what is being written and closes all connections.
func (s *Store) Close() error {
	s.group.Close()
	s.close()
	s.pool.Close()
	return nil
}

// found is what loadSQL and changesSQL find: a batch, the realm's other numbers
// and, of changesSQL, the mark of the position that was asked about.
type found struct {
	store.Batch
	trimmed, mark uint64
}

// collect reads the rows of loadSQL and changesSQL: each has the realm's
// numbers and, unless there is none, a document.
func collect(rows pgx.Rows) (f found, err error) {
	defer rows.Close()
	for rows.Next() {
		var kind, id *string
		var revision *uint64
		var data []byte
		if err := rows.Scan(&f.Sequence, &f.trimmed, &f.Mark, &f.mark, &kind, &id, &revision, &data); err != nil {
			return f, err
		}
		if kind != nil && id != nil && revision != nil {
			f.Documents = append(f.Documents, store.Document{Key: store.Key{Kind: *kind, ID: *id}, Revision: *revision, Data: data})
		}
	}
	return f, rows.Err()
}

var _ store.Store = (*Store)(nil)

// commit writes what calls come to, in one transaction of two round trips.
func (s *Store) commit(realm string, calls []*engine.Call) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := twice(func() error {
		err := s.transaction(ctx, realm, calls)
		if errors.Is(err, pgx.ErrNoRows) { // the realm's first change
			if _, err = s.exec(ctx, newRealmSQL, realm); err == nil {
				err = s.transaction(ctx, realm, calls)
			}
		}
		return err
	})
	return s.explain(err)
}

// twice does something again, once, of which the database says that others were in
// the way and that nothing was done: a transaction which could not be serialized,
// or was in a deadlock, as with maintenance of the tables.
func twice(do func() error) error {
	err := do()
	if c := code(err); c == serializationFailure || c == deadlockDetected {
		return do()
	}
	return err
}

func (s *Store) transaction(ctx context.Context, realm string, calls []*engine.Call) error {
	// One that is given back in the middle of a transaction is closed.
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	sequence, revisions, err := s.lock(ctx, conn, realm, calls)
	if err != nil {
		return err
	}
	writes, err := engine.Decide(sequence, calls, func(k store.Key) (uint64, error) { return revisions[k], nil })
	if err != nil {
		return err
	}
	err = conn.SendBatch(ctx, s.writes(realm, sequence, writes)).Close()
	if err == nil || refused(err) {
		return err
	}
	conn.Release() // there may be only one
	return s.settle(realm, writes, err)
}

// settle finds out whether a transaction was made whose answer was lost, if
// the database can be reached soon: it is known by its mark.
func (s *Store) settle(realm string, w engine.Writes, lost error) error {
	ctx, cancel := context.WithTimeout(context.Background(), settleLimit)
	defer cancel()
	for w.Mark != 0 {
		made, err := s.made(ctx, realm, w)
		switch {
		case err == nil && made:
			return nil
		case err == nil:
			return lost
		case ctx.Err() != nil || s.open.Err() != nil:
			return fmt.Errorf("%w: %w", store.ErrUnknown, lost)
		}
		select {
		case <-ctx.Done():
		case <-time.After(settleEvery):
		}
	}
	return fmt.Errorf("%w: %w", store.ErrUnknown, lost)
}

// made reports whether the transaction that drew a mark was committed. It waits
// for its end.
func (s *Store) made(ctx context.Context, realm string, w engine.Writes) (made bool, err error) {
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, s.sql(onlyLockSQL), realm); err != nil {
			return err
		}
		return tx.QueryRow(ctx, s.sql(madeSQL), realm, w.Sequence, w.Mark).Scan(&made)
	})
	return made, err
}

// lock begins a transaction, keeps others from changing the realm, and reads
// the realm's number and the revisions of the documents that calls are about.
func (s *Store) lock(ctx context.Context, conn *pgxpool.Conn, realm string, calls []*engine.Call) (sequence uint64, revisions map[store.Key]uint64, err error) {
	var kinds, ids []string
	for _, call := range calls {
		for _, c := range call.Changes {
			kinds, ids = append(kinds, c.Kind), append(ids, c.ID)
		}
	}
	batch := new(pgx.Batch)
	batch.Queue(beginSQL)
	batch.Queue(settingsSQL)
	batch.Queue(s.sql(lockSQL), realm)
	batch.Queue(s.sql(revisionsSQL), realm, kinds, ids)
	results := conn.SendBatch(ctx, batch)
	defer func() {
		if failed := results.Close(); err == nil {
			err = failed
		}
	}()
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return 0, nil, err
		}
	}
	var format int
	if err := results.QueryRow().Scan(&sequence, &format); err != nil {
		return 0, nil, err
	}
	if format > Format {
		return 0, nil, tooNew(format)
	}
	rows, err := results.Query()
	if err != nil {
		return 0, nil, err
	}
	revisions = map[store.Key]uint64{}
	var k store.Key
	var revision uint64
	_, err = pgx.ForEachRow(rows, []any{&k.Kind, &k.ID, &revision}, func() error {
		revisions[k] = revision
		return nil
	})
	return sequence, revisions, err
}

// writes are the statements that end the transaction.
func (s *Store) writes(realm string, sequence uint64, w engine.Writes) *pgx.Batch {
	batch := new(pgx.Batch)
	if len(w.Documents) > 0 {
		n := len(w.Documents)
		kinds, ids, revisions, data := make([]string, n), make([]string, n), make([]uint64, n), make([][]byte, n)
		for i, d := range w.Documents {
			kinds[i], ids[i], revisions[i], data[i] = d.Kind, d.ID, d.Revision, d.Data
		}
		batch.Queue(s.sql(documentsSQL), realm, kinds, ids, revisions, data)
	}
	if len(w.History) > 0 {
		ids, data := make([]string, len(w.History)), make([][]byte, len(w.History))
		for i, e := range w.History {
			ids[i], data[i] = e.ID, append([]byte{}, e.Data...) // empty, not NULL
		}
		batch.Queue(s.sql(historySQL), realm, ids, data)
	}
	if w.Sequence != sequence {
		batch.Queue(s.sql(sequenceSQL), realm, w.Sequence)
		batch.Queue(s.sql(markSQL), realm, w.Sequence, w.Mark)
		if !s.silent {
			batch.Queue(notifySQL, realm)
		}
	}
	batch.Queue("COMMIT")
	return batch
}

// tooNew is the error of a database that a newer program has upgraded.
func tooNew(format int) error {
	return fmt.Errorf("%w: the tables have format %d, and %d is the newest known: update the program, or restore a dump from before", store.ErrFormat, format, Format)
}
