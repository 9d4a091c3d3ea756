package pgstore

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// SQLSTATE codes, PostgreSQL manual, appendix A.
const (
	readOnlyTransaction = "25006"
	diskFull            = "53100"
	undefinedTable      = "42P01"
	invalidSchema       = "3F000"
)

// explain turns an error of the database into one of [store]. No text of pgx
// that may hold the connection string's password gets here: see [Open].
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{store.ErrGone, store.ErrFormat} {
		if errors.Is(err, known) {
			return err
		}
	}
	if s.open.Err() != nil {
		return store.ErrClosed
	}
	kind := store.ErrUnavailable
	switch code(err) {
	case readOnlyTransaction:
		kind = store.ErrReadOnly
		s.pool.Reset() // it was the primary once: look for the one that is now
	case diskFull:
		kind = store.ErrFull
	}
	return fmt.Errorf("postgres store: %w: %w", kind, err)
}

// code is the SQLSTATE of a server's error.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
