package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/internal/engine"
)

// commit writes what calls come to, in one transaction of two round trips.
func (s *Store) commit(realm string, calls []*engine.Call) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := s.transaction(ctx, realm, calls)
	if errors.Is(err, pgx.ErrNoRows) { // the realm's first change
		if _, err = s.exec(ctx, newRealmSQL, realm); err == nil {
			err = s.transaction(ctx, realm, calls)
		}
	}
	return s.explain(err)
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
	return conn.SendBatch(ctx, s.writes(realm, sequence, writes)).Close()
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
	batch.Queue("BEGIN")
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
