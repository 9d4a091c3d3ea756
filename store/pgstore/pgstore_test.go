//go:build unix

package pgstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/pgstore/pgtest"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/storetest"
)

// dsnVariable names the database of a process that is to be killed.
const dsnVariable = "PGSTORE_DSN"

// shared is the server of tests that do not stop theirs.
var shared struct {
	sync.Once
	*pgtest.Server
	err error
}

func TestMain(m *testing.M) {
	storetest.RunWriter(func() (store.Store, error) { return Open(context.Background(), Config{DSN: os.Getenv(dsnVariable)}) })
	result := m.Run()
	if shared.Server != nil {
		shared.Close()
	}
	os.Exit(result)
}

func server(t testing.TB) *pgtest.Server {
	t.Helper()
	shared.Do(func() { shared.Server, shared.err = pgtest.New() })
	switch {
	case errors.Is(shared.err, pgtest.ErrMissing) && os.Getenv("E2E") != "required":
		t.Skip(shared.err)
	case shared.err != nil:
		t.Fatal(shared.err)
	}
	return shared.Server
}

func open(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s store.Store, id string) (uint64, error) {
	t.Helper()
	return s.Apply(t.Context(), "default", []store.Change{{Key: store.Key{Kind: "robot", ID: id}, Data: []byte("1")}})
}

func mustPut(t testing.TB, s store.Store, id string) uint64 {
	t.Helper()
	n, err := put(t, s, id)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var schemas atomic.Int64

// newSchema returns a configuration for a schema that is not there yet; its
// name needs quotes.
func newSchema(t testing.TB) Config {
	return Config{DSN: server(t).DSN(), Schema: fmt.Sprintf(`Schema "%d"`, schemas.Add(1)), MaxConns: 4}
}

func TestConformance(t *testing.T) { conformance(t, "") }

// TestConformancePooler has no prepared statements, as poolers may demand.
func TestConformancePooler(t *testing.T) { conformance(t, "&default_query_exec_mode=exec") }

func conformance(t *testing.T, parameters string) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		c := newSchema(t)
		c.DSN += parameters
		return storetest.Place{
			Open:    func() (store.Store, error) { return Open(t.Context(), c) },
			Lasting: true,
			Shared:  true,
			Age: func(t *testing.T, s store.Store, by time.Duration) {
				p := s.(*Store)
				if _, err := p.exec(t.Context(), "UPDATE registry_auth_documents SET changed_at = changed_at - $1::interval", by); err != nil {
					t.Fatal(err)
				}
			},
			Save: func(t *testing.T, s store.Store) func() { return save(t, s.(*Store)) },
		}
	})
}

// save copies the tables, and returns what puts the copies in their place.
func save(t *testing.T, s *Store) (restore func()) {
	each := func(statement string) {
		t.Helper()
		for _, table := range []string{"realms", "documents", "history", "marks"} {
			if _, err := s.exec(t.Context(), strings.ReplaceAll(statement, "#", "registry_auth_"+table)); err != nil {
				t.Fatal(err)
			}
		}
	}
	each("CREATE TABLE #_saved AS SELECT * FROM #")
	return func() {
		each("DELETE FROM #")
		each("INSERT INTO # SELECT * FROM #_saved")
	}
}

// TestUnnotified has no notification arrive, as it may be
// behind a connection pooler: watchers look for themselves.
func TestUnnotified(t *testing.T) {
	c := newSchema(t)
	a, b := open(t, c), open(t, c)
	a.silent = true
	batches := make(chan store.Batch, 10)
	go func() { _ = b.Watch(t.Context(), "default", store.Position{}, func(b store.Batch) { batches <- b }) }()
	<-batches // how it begins
	for i := range 5 {
		n := mustPut(t, a, fmt.Sprint(i))
		select {
		case batch := <-batches:
			if batch.Sequence != n {
				t.Errorf("batch %d, want %d", batch.Sequence, n)
			}
		case <-time.After(1500 * time.Millisecond): // half a second for a busy machine
			t.Fatal("not within a second")
		}
	}
}

func TestKill(t *testing.T) {
	dsn := server(t).NewDatabase(t)
	storetest.Kill(t, 12, func() (store.Store, error) { return Open(t.Context(), Config{DSN: dsn}) }, dsnVariable+"="+dsn)
}

// TestManyStart has fifty gateways start on an empty database.
func TestManyStart(t *testing.T) {
	for _, schema := range []string{"", "gateways"} {
		c := Config{DSN: server(t).NewDatabase(t), Schema: schema, MaxConns: 1}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				s, err := Open(t.Context(), c)
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if _, err := put(t, s, "a"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		s := open(t, c)
		if d, at, err := s.Load(t.Context(), "default"); err != nil || len(d) != 1 || at.Sequence != 50 {
			t.Errorf("%d documents at %d, %v", len(d), at.Sequence, err)
		}
		var rows int
		if err := s.pool.QueryRow(t.Context(), s.sql("SELECT count(*) FROM registry_auth_format")).Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%d rows of format, %v", rows, err)
		}
	}
}

func BenchmarkStore(b *testing.B) {
	s := pgtest.Start(b, "fsync=on")
	storetest.Benchmark(b, func() (store.Store, error) { return Open(b.Context(), Config{DSN: s.NewDatabase(b)}) })
}
