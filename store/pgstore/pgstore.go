// Package pgstore keeps documents in PostgreSQL, for any number of gateways on
// one state.
//
// Whoever changes a realm locks its row, so that changes become visible in the
// order of their numbers. Watchers are told with NOTIFY, and look for
// themselves twice a second in case they were not.
package pgstore

import (
	"context"
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
func (s *Store) Load(ctx context.Context, realm string) ([]store.Document, uint64, error) {
	if err := engine.CheckRealm(realm); err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	rows, err := s.pool.Query(ctx, s.sql(loadSQL), realm)
	if err != nil {
		return nil, 0, s.explain(err)
	}
	batch, _, err := collect(rows)
	if err != nil {
		return nil, 0, s.explain(err)
	}
	return batch.Documents, batch.Sequence, nil
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
	// One transaction, like everything that is sent in one batch.
	batch := new(pgx.Batch)
	batch.Queue(s.sql(onlyLockSQL), realm)
	batch.Queue(s.sql(trimDocumentsSQL), realm)
	return s.explain(s.pool.SendBatch(ctx, batch).Close())
}

// exec runs one statement and returns how many rows it was about.
func (s *Store) exec(ctx context.Context, statement string, arguments ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tag, err := s.pool.Exec(ctx, s.sql(statement), arguments...)
	return tag.RowsAffected(), err
}

// Close waits for what is being written and closes all connections.
func (s *Store) Close() error {
	s.group.Close()
	s.close()
	s.pool.Close()
	return nil
}

// collect reads the rows of loadSQL and changesSQL: each has the realm's
// numbers and, unless there is none, a document.
func collect(rows pgx.Rows) (batch store.Batch, trimmed uint64, err error) {
	defer rows.Close()
	for rows.Next() {
		var kind, id *string
		var revision *uint64
		var data []byte
		if err := rows.Scan(&batch.Sequence, &trimmed, &kind, &id, &revision, &data); err != nil {
			return batch, 0, err
		}
		if kind != nil && id != nil && revision != nil {
			batch.Documents = append(batch.Documents, store.Document{Key: store.Key{Kind: *kind, ID: *id}, Revision: *revision, Data: data})
		}
	}
	return batch, trimmed, rows.Err()
}

var _ store.Store = (*Store)(nil)
