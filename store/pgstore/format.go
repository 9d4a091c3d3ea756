package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Format is the format that this program writes, and the newest that it reads.
const Format = 1

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
}

// upgradeLock is the advisory lock of who makes or changes tables: an
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
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.upgrade(ctx, tx, schema) })
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
