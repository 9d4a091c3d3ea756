//go:build unix

package pgstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/pgstore/pgtest"
)

// follow watches as a gateway does: it tries again after each error.
func follow(t *testing.T, s *Store) (batches chan store.Batch, errs chan error) {
	batches, errs = make(chan store.Batch, 1000), make(chan error, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		var after store.Position
		for ctx.Err() == nil {
			err := s.Watch(ctx, "default", after, func(b store.Batch) {
				after = b.Position()
				batches <- b
			})
			if err != nil {
				errs <- err
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	return batches, errs
}

func wantBatch(t *testing.T, batches chan store.Batch, n uint64, limit time.Duration) {
	t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case b := <-batches:
			if b.Sequence >= n {
				return
			}
		case <-timeout:
			t.Fatalf("change %d not within %v", n, limit)
		}
	}
}

func wantUnavailable(t *testing.T, errs chan error, limit time.Duration) {
	t.Helper()
	select {
	case err := <-errs:
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("watch: %v", err)
		}
	case <-time.After(limit):
		t.Errorf("not noticed within %v", limit)
	}
}

// TestRestart has the database go away and come back under two gateways.
func TestRestart(t *testing.T) {
	pg := pgtest.Start(t)
	a, b := open(t, Config{DSN: pg.DSN()}), open(t, Config{DSN: pg.DSN()})
	batches, errs := follow(t, b)
	wantBatch(t, batches, mustPut(t, a, "before"), time.Second)
	for range 3 {
		pg.Stop()
		wantUnavailable(t, errs, time.Second)
		if _, err := put(t, a, "away"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("apply: %v", err)
		}
		if _, _, err := b.Load(t.Context(), "default"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("load: %v", err)
		}
		if _, err := Open(t.Context(), Config{DSN: pg.DSN()}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("open: %v", err)
		}
		if err := pg.Launch(); err != nil {
			t.Fatal(err)
		}
		wantBatch(t, batches, mustPut(t, a, "again"), 5*time.Second)
		for len(errs) > 0 {
			<-errs
		}
	}
}

// TestLostAnswer has connections end in the middle of changes: what became of
// one is found out, or it is said that nobody knows.
func TestLostAnswer(t *testing.T) {
	pg := pgtest.Start(t)
	s := open(t, Config{DSN: pg.DSN()})
	mustPut(t, s, "first")
	end := make(chan struct{})
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		for {
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond):
				pg.Exec(t, pg.DSN(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'registry_auth'")
			}
		}
	}()
	made, refused, unknown := map[string]bool{}, map[string]bool{}, 0
	for i := range 400 {
		id := fmt.Sprint(i)
		switch _, err := put(t, s, id); {
		case err == nil:
			made[id] = true
		case errors.Is(err, store.ErrUnknown):
			unknown++
		case errors.Is(err, store.ErrUnavailable):
			refused[id] = true
		default:
			t.Error(err)
		}
	}
	close(end)
	<-killed
	documents, _, err := s.Load(t.Context(), "default")
	for err != nil && t.Context().Err() == nil {
		documents, _, err = s.Load(t.Context(), "default")
	}
	for _, d := range documents {
		if refused[d.ID] {
			t.Errorf("%s: told as not made, and was", d.ID)
		}
		delete(made, d.ID)
	}
	for id := range made {
		t.Errorf("%s: told as made, and was not", id)
	}
	t.Logf("%d refused, %d unknown", len(refused), unknown)
}

// TestIdleConnections has the database restarted unseen: the first change
// after it must not fail over a connection from before.
func TestIdleConnections(t *testing.T) {
	pg := pgtest.Start(t)
	s := open(t, Config{DSN: pg.DSN()})
	for i := range 5 {
		mustPut(t, s, fmt.Sprint(i))
		pg.Stop()
		if err := pg.Launch(); err != nil {
			t.Fatal(err)
		}
	}
	mustPut(t, s, "last")
}

// TestRestore has the database restored under a gateway that knows more.
func TestRestore(t *testing.T) {
	pg := server(t)
	dsn := pg.NewDatabase(t)
	s := open(t, Config{DSN: dsn})
	mustPut(t, s, "a")
	dump := withoutCommands(pg.Dump(t, dsn))
	batches, errs := follow(t, s)
	wantBatch(t, batches, mustPut(t, s, "b"), time.Second)
	pg.Exec(t, dsn, "DROP TABLE registry_auth_format, registry_auth_realms, registry_auth_documents, registry_auth_history, registry_auth_marks;"+dump)
	select {
	case err := <-errs:
		if !errors.Is(err, store.ErrGone) {
			t.Errorf("watch: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("not noticed")
	}
	if d, at, err := s.Load(t.Context(), "default"); err != nil || len(d) != 1 || at.Sequence != 1 {
		t.Errorf("%d documents at %d, %v", len(d), at.Sequence, err)
	}
	if n := mustPut(t, s, "c"); n != 2 {
		t.Errorf("went on with %d", n)
	}
}

// TestFrozen has the watcher's connection open and nobody at its other end.
func TestFrozen(t *testing.T) {
	s := open(t, newSchema(t))
	batches, errs := follow(t, s)
	n := mustPut(t, s, "a")
	wantBatch(t, batches, n, time.Second)
	var pid int
	err := s.pool.QueryRow(t.Context(), "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND position($1 in query) > 0 AND query LIKE '%trimmed%'", s.prefix).Scan(&pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	wantUnavailable(t, errs, pollEvery+pollLimit+time.Second)
	wantBatch(t, batches, mustPut(t, s, "b"), time.Second)
}

// TestFrozenWriter has a gateway stop in the middle of a change: others have
// to wait for the database to give up on it, and no longer.
func TestFrozenWriter(t *testing.T) {
	c := newSchema(t)
	s := open(t, c)
	mustPut(t, s, "a")
	conn, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, _, err := s.lock(t.Context(), conn, "default", nil); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	mustPut(t, open(t, c), "b")
	if waited := time.Since(start); waited < time.Second || waited > 8*time.Second {
		t.Errorf("waited %v", waited)
	}
}

// TestReadOnly has a database that may be read only, as a standby is after a
// failover.
func TestReadOnly(t *testing.T) {
	pg := server(t)
	dsn := pg.NewDatabase(t)
	s := open(t, Config{DSN: dsn})
	mustPut(t, s, "a")
	name := s.config.Database
	readOnly := func(on string) {
		pg.Exec(t, pg.DSN(), "ALTER DATABASE "+name+" SET default_transaction_read_only = "+on)
	}
	readOnly("on")
	s.pool.Reset()
	if _, err := put(t, s, "b"); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("apply: %v", err)
	}
	if err := s.Trim(t.Context(), "default", "x"); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("trim: %v", err)
	}
	if d, _, err := open(t, Config{DSN: dsn}).Load(t.Context(), "default"); err != nil || len(d) != 1 {
		t.Errorf("load: %v %v", d, err)
	}
	if _, err := Open(t.Context(), Config{DSN: dsn, Schema: "new"}); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("open without tables: %v", err)
	}
	readOnly("off")
	mustPut(t, s, "b") // without opening again
}

// TestDiskFull has the tables on a file system without room. Where mounting is
// not allowed the error alone is tested.
func TestDiskFull(t *testing.T) {
	full := open(t, newSchema(t)).explain(fmt.Errorf("writing: %w", &pgconn.PgError{Code: diskFull, Message: "could not extend file"}))
	if !errors.Is(full, store.ErrFull) {
		t.Errorf("error: %v", full)
	}
	pg := server(t)
	dir := pg.NewFolder(t)
	if err := mountSmall(dir); err != nil {
		t.Logf("not tested with a real disk: %v", err)
		return
	}
	small := filepath.Join(dir, "small")
	pg.MakeFolder(t, small)
	pg.Exec(t, pg.DSN(), "CREATE TABLESPACE small LOCATION '"+small+"'")
	c := Config{DSN: pg.NewDatabase(t) + "&default_tablespace=small"}
	s := open(t, c)
	defer func() {
		s.Close()
		pg.Exec(t, pg.DSN(), "DROP DATABASE "+s.config.Database+" WITH (FORCE)")
		pg.Exec(t, pg.DSN(), "DROP TABLESPACE small")
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	}()
	data := make([]byte, 100_000)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	made := 0
	for range 200 {
		_, err := s.Apply(t.Context(), "default", []store.Change{{Key: store.Key{Kind: "robot", ID: fmt.Sprint(made)}, Data: data}})
		if err != nil {
			if !errors.Is(err, store.ErrFull) {
				t.Errorf("full: %v", err)
			}
			break
		}
		made++
	}
	if d, at, err := s.Load(t.Context(), "default"); err != nil || len(d) != made || int(at.Sequence) != made || made < 5 || made == 200 {
		t.Errorf("%d documents at %d, want %d: %v", len(d), at.Sequence, made, err)
	}
}

// TestSecret wants no password in any error.
func TestSecret(t *testing.T) {
	const password = "s3cr3t-p4ss"
	server := server(t).DSN()
	dsns := []string{
		"postgres://u:" + password + "@127.0.0.1:1/db", // nobody listens
		"host=127.0.0.1 port=1 user=u password=" + password + " dbname=db",
		strings.Replace(server, "postgres@", "nobody:"+password+"@", 1),
		"postgres://u:" + password + "@127.0.0.1:port/db",
		"postgres://u:" + password + "#x@127.0.0.1/db",
		"postgres://u:" + password + "/x@127.0.0.1/db",
		"postgres://u:" + password + "%zz@127.0.0.1/db",
		"postgres://u:" + password + "@[::1/db",
		"postgres://u:12/" + password + "@127.0.0.1:1/db",
		"postgres://u:12?" + password + "@127.0.0.1:1/db",
		"postgres://u:x@" + password + "@127.0.0.1:1/db",
		"postgres://u:" + password + "@127.0.0.1/db?sslmode=wrong",
		"postgres://u:" + password + "@127.0.0.1/db?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
		"postgres://u@127.0.0.1:1/db?password=" + password,
		"host=127.0.0.1 password='" + password,
		"host=127.0.0.1 password = '" + password + "' port=x",
		"host=127.0.0.1 passwort=" + password + " port=1",
		"postgresql//u:" + password + "@127.0.0.1/db",
		password,
	}
	for _, dsn := range dsns {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := Open(ctx, Config{DSN: dsn})
		cancel()
		if err == nil {
			t.Errorf("opened %s", dsn)
			continue
		}
		if strings.Contains(err.Error(), password) || strings.Contains(fmt.Sprintf("%+v %#v", err, err), password) {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	if err := (Config{DSN: "host=h sslmode=verify-full sslrootcert=/nowhere/ca.pem"}).Check(); err == nil || !strings.Contains(err.Error(), "/nowhere/ca.pem") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		config Config
		want   string
	}{
		"good":      {Config{DSN: "postgres://u@h/db?sslmode=disable", Schema: "s", MaxConns: 3}, ""},
		"none":      {Config{}, "dsn: is missing"},
		"max_conns": {Config{DSN: "host=h", MaxConns: -1}, "max_conns: -1"},
		"schema":    {Config{DSN: "host=h", Schema: strings.Repeat("x", 64)}, "schema: 64 bytes"},
	} {
		err := tt.config.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}
