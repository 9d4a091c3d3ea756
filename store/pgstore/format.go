package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Format is the format that this program writes, and the newest that it reads.
const Format = 2

// upgrades make each format from the one before. What was released is never
// changed. Deletions are documents without data.
var upgrades = [Format]string{
	`CREATE TABLE registry_auth_format (format integer NOT NULL);
	INSERT INTO registry_auth_format VALUES (0);
	CREATE TABLE registry_auth_realms (
		realm text COLLATE "C" PRIMARY KEY,
		sequence bigint NOT NULL DEFAULT 0,
		trimmed bigint NOT NULL DEFAULT 0
	);
	CREATE TABLE registry_auth_documents (
		realm text COLLATE "C" NOT NULL,
		kind text COLLATE "C" NOT NULL,
		id text COLLATE "C" NOT NULL,
		revision bigint NOT NULL,
		data bytea,
		changed_at timestamptz NOT NULL,
		PRIMARY KEY (realm, kind, id)
	);
	CREATE INDEX ON registry_auth_documents (realm, revision);
	CREATE TABLE registry_auth_history (
		realm text COLLATE "C" NOT NULL,
		id text COLLATE "C" NOT NULL,
		data bytea NOT NULL,
		PRIMARY KEY (realm, id)
	);`,
	`CREATE TABLE registry_auth_marks (
		realm text COLLATE "C" NOT NULL,
		sequence bigint NOT NULL,
		mark bigint NOT NULL,
		PRIMARY KEY (realm, sequence)
	);
	INSERT INTO registry_auth_marks
		SELECT realm, sequence, 1 + (random() * 9e18)::bigint FROM registry_auth_realms WHERE sequence > 0;`,
}

// upgradeLock is the advisory lock of whoever makes or changes tables: an
// arbitrary number.
const upgradeLock = 0x7265675f61757468

// prepare makes sure that the tables have this program's format.
func (s *Store) prepare(ctx context.Context, schema string) error {
	var format int
	err := s.pool.QueryRow(ctx, s.sql("SELECT format FROM registry_auth_format")).Scan(&format)
	if c := code(err); err != nil && c != undefinedTable && c != invalidSchema {
		return err
	}
	switch {
	case format > Format:
		return tooNew(format)
	case format == Format:
		return nil
	}
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error { return s.upgrade(ctx, tx, schema) })
}

// upgrade makes the tables, or changes them to this program's format.
func (s *Store) upgrade(ctx context.Context, tx pgx.Tx, schema string) error {
	var encoding string
	if err := tx.QueryRow(ctx, "SELECT current_setting('server_encoding')").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database has encoding %s, want UTF8", encoding)
	}
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(upgradeLock)); err != nil {
		return err
	}
	if schema != "" {
		var there bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema).Scan(&there); err != nil {
			return err
		}
		if !there {
			if _, err := tx.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{schema}.Sanitize()); err != nil {
				return err
			}
		}
	}
	format, err := s.format(ctx, tx)
	if err != nil {
		return err
	}
	if format > Format {
		return tooNew(format)
	}
	for ; format < Format; format++ {
		// Without arguments several statements may be sent at once.
		if _, err := tx.Exec(ctx, s.sql(upgrades[format])); err != nil {
			return fmt.Errorf("upgrading to format %d: %w", format+1, err)
		}
	}
	_, err = tx.Exec(ctx, s.sql("UPDATE registry_auth_format SET format = $1"), Format)
	return err
}

// format is the tables' format as the holder of the lock sees it, 0 if there
// are no tables.
func (s *Store) format(ctx context.Context, tx pgx.Tx) (format int, err error) {
	var table *string
	if err := tx.QueryRow(ctx, "SELECT to_regclass($1)::text", s.sql("registry_auth_format")).Scan(&table); err != nil || table == nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, s.sql("SELECT format FROM registry_auth_format")).Scan(&format)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, errors.New("the table registry_auth_format is empty")
	}
	return format, err
}

// The statements. Names of tables begin with registry_auth_, before which
// [Store.sql] puts the schema.
const (
	loadSQL = `
		SELECT r.sequence, r.trimmed, coalesce(m.mark, 0), 0, d.kind, d.id, d.revision, d.data
		FROM registry_auth_realms r
		LEFT JOIN registry_auth_marks m ON m.realm = r.realm AND m.sequence = r.sequence
		LEFT JOIN registry_auth_documents d ON d.realm = r.realm AND d.data IS NOT NULL
		WHERE r.realm = $1`

	// With the mark of the number that the watcher is at.
	numbersSQL = `
		SELECT r.sequence, r.trimmed, coalesce(k.mark, 0)
		FROM registry_auth_realms r
		LEFT JOIN registry_auth_marks k ON k.realm = r.realm AND k.sequence = $2
		WHERE r.realm = $1`

	changesSQL = `
		SELECT r.sequence, r.trimmed, coalesce(m.mark, 0), coalesce(k.mark, 0), d.kind, d.id, d.revision, d.data
		FROM registry_auth_realms r
		LEFT JOIN registry_auth_marks m ON m.realm = r.realm AND m.sequence = r.sequence
		LEFT JOIN registry_auth_marks k ON k.realm = r.realm AND k.sequence = $2
		LEFT JOIN registry_auth_documents d ON d.realm = r.realm AND d.revision > $2
		WHERE r.realm = $1
		ORDER BY d.revision`

	// Whatever the database's default is: a statement sees what was committed
	// before it, and not only before the lock was asked for.
	beginSQL = `BEGIN ISOLATION LEVEL READ COMMITTED`

	// In this transaction only: "acknowledged" means "durable" whatever the
	// database's default is, and a gateway that stops in the middle does not
	// keep the others out for long.
	settingsSQL = `
		SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true),
			set_config('statement_timeout', '10s', true),
			set_config('idle_in_transaction_session_timeout', '5s', true)`

	lockSQL = `
		SELECT r.sequence, f.format
		FROM registry_auth_realms r, registry_auth_format f
		WHERE r.realm = $1
		FOR UPDATE OF r`

	revisionsSQL = `
		SELECT d.kind, d.id, d.revision
		FROM unnest($2::text[], $3::text[]) AS k (kind, id)
		JOIN registry_auth_documents d ON d.kind = k.kind AND d.id = k.id
		WHERE d.realm = $1 AND d.data IS NOT NULL`

	newRealmSQL = `INSERT INTO registry_auth_realms (realm) VALUES ($1) ON CONFLICT DO NOTHING`

	documentsSQL = `
		INSERT INTO registry_auth_documents (realm, kind, id, revision, data, changed_at)
		SELECT $1, kind, id, revision, data, now()
		FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bytea[]) AS d (kind, id, revision, data)
		ON CONFLICT (realm, kind, id) DO UPDATE
		SET revision = excluded.revision, data = excluded.data, changed_at = excluded.changed_at`

	sequenceSQL = `UPDATE registry_auth_realms SET sequence = $2 WHERE realm = $1`

	markSQL = `
		INSERT INTO registry_auth_marks (realm, sequence, mark) VALUES ($1, $2, $3)
		ON CONFLICT (realm, sequence) DO UPDATE SET mark = excluded.mark`

	// What a transaction has written whose answer was lost: the lock waits for
	// its end.
	madeSQL = `SELECT EXISTS (SELECT FROM registry_auth_marks WHERE realm = $1 AND sequence = $2 AND mark = $3)`

	historySQL = `
		INSERT INTO registry_auth_history (realm, id, data)
		SELECT $1, id, data FROM unnest($2::text[], $3::bytea[]) AS h (id, data)
		ON CONFLICT DO NOTHING`

	notifySQL = `SELECT pg_notify('registry_auth', $1)`
	listenSQL = `LISTEN registry_auth`

	newestSQL = `SELECT id, data FROM registry_auth_history WHERE realm = $1 ORDER BY id DESC LIMIT $2`
	pageSQL   = `SELECT id, data FROM registry_auth_history WHERE realm = $1 AND id < $3 ORDER BY id DESC LIMIT $2`

	trimHistorySQL = `
		DELETE FROM registry_auth_history WHERE realm = $1 AND id IN
			(SELECT id FROM registry_auth_history WHERE realm = $1 AND id < $2 ORDER BY id LIMIT 10000)`

	onlyLockSQL = `SELECT FROM registry_auth_realms WHERE realm = $1 FOR UPDATE`

	trimMarksSQL = `
		DELETE FROM registry_auth_marks
		WHERE realm = $1 AND sequence + $2 < (SELECT sequence FROM registry_auth_realms WHERE realm = $1)`

	trimDocumentsSQL = `
		WITH gone AS (
			DELETE FROM registry_auth_documents
			WHERE realm = $1 AND data IS NULL AND changed_at < now() - interval '1 hour'
			RETURNING revision
		)
		UPDATE registry_auth_realms
		SET trimmed = greatest(trimmed, (SELECT max(revision) FROM gone))
		WHERE realm = $1 AND EXISTS (SELECT FROM gone)`
)

// sql puts the schema before the names of the tables.
func (s *Store) sql(statement string) string {
	if s.prefix == "" {
		return statement
	}
	return strings.ReplaceAll(statement, "registry_auth_", s.prefix)
}
