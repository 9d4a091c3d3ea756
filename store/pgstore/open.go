package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/internal/engine"
)

// Config says where the database is.
type Config struct {
	// DSN is a connection string, as a URL or as keywords and values; see
	// "Connection Strings" in PostgreSQL's manual on libpq. What it leaves
	// open is taken from the environment (PGPASSWORD, …).
	DSN string
	// Schema that the tables are in, and which is made if it is not there.
	// Default: the first of the database's search path.
	Schema string
	// MaxConns is the most connections that are open, besides one for each
	// Watch. Default: pool_max_conns of the DSN, or 4 or the number of CPUs,
	// whichever is larger.
	MaxConns int
}

// Check reports whether the connection string can be read. Errors do not show
// it: it holds a password.
func (c Config) Check() error {
	_, err := c.parse()
	return err
}

func (c Config) parse() (*pgxpool.Config, error) {
	if c.DSN == "" {
		return nil, errors.New("dsn: is missing")
	}
	if c.MaxConns < 0 || c.MaxConns > 1000 {
		return nil, fmt.Errorf("max_conns: %d, want 1 to 1000", c.MaxConns)
	}
	if len(c.Schema) > 63 {
		return nil, fmt.Errorf("schema: %d bytes, want at most 63", len(c.Schema))
	}
	config, err := pgxpool.ParseConfig(c.DSN)
	if err != nil {
		var file *fs.PathError
		if errors.As(err, &file) {
			return nil, fmt.Errorf("dsn: %w", file)
		}
		return nil, errors.New("dsn: cannot be read: want postgres://user:password@host/database?sslmode=verify-full (special characters of the password percent-encoded), or host=… user=… password=… dbname=…")
	}
	if misread(config.ConnConfig) {
		return nil, errors.New("dsn: host or database contains @: want special characters of the password percent-encoded")
	}
	if c.MaxConns > 0 {
		config.MaxConns = int32(c.MaxConns)
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "registry_auth"
	}
	// A connection from before a restart of the database is not used.
	config.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool { return p.IdleDuration > pingIdle }
	config.PingTimeout = pollLimit
	return config, nil
}

// pingIdle is how long a connection is taken for good without asking.
const pingIdle = 10 * time.Millisecond

// misread reports whether a part of the password seems to have become
// something else, which error messages show.
func misread(c *pgx.ConnConfig) bool {
	names := []string{c.Host, c.Database}
	for _, f := range c.Fallbacks {
		names = append(names, f.Host)
	}
	for name := range c.RuntimeParams {
		names = append(names, name)
	}
	return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, "@") })
}

// Open connects to the database, and makes the tables or brings them up to
// date: of several that start at once, one does. Errors are, besides those of
// the store itself, store.ErrFormat.
func Open(ctx context.Context, c Config) (*Store, error) {
	config, err := c.parse()
	if err != nil {
		return nil, fmt.Errorf("postgres store: %w", err)
	}
	s := &Store{config: config.ConnConfig.Copy()}
	if c.Schema != "" {
		s.prefix = pgx.Identifier{c.Schema}.Sanitize() + ".registry_auth_"
	}
	s.group = engine.NewGroup(s.commit)
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("postgres store: %w", err)
	}
	s.open, s.close = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	if err := s.prepare(ctx, c.Schema); err != nil {
		err = s.explain(err)
		s.close()
		s.pool.Close()
		return nil, err
	}
	return s, nil
}

// SQLSTATE codes, PostgreSQL manual, appendix A.
const (
	readOnlyTransaction = "25006"
	diskFull            = "53100"
	undefinedTable      = "42P01"
	invalidSchema       = "3F000"

	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

// explain turns an error of the database into one of [store]. No text of pgx
// that may hold the connection string's password gets here: see [Open].
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	switch {
	case errors.Is(err, store.ErrGone), errors.Is(err, store.ErrFormat):
		return err
	case errors.Is(err, store.ErrUnknown):
		return fmt.Errorf("postgres store: %w", err)
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

// refused reports whether the server has refused what was asked, and goes on:
// the end of a connection says nothing about the transaction.
func refused(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.SeverityUnlocalized == "ERROR"
}
