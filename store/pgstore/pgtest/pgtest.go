//go:build unix

// Package pgtest runs real PostgreSQL servers for tests: on a free loopback
// port, with files of their own, gone when the test ends.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/freeport"
)

// ErrMissing: no server is installed.
var ErrMissing = errors.New("postgresql is not installed (.ci/install installs it)")

// Server is a server, which can be stopped and started again.
type Server struct {
	bin, dir string
	port     int
	settings []string
	as       *syscall.Credential // who it runs as; root may not
	process  *exec.Cmd
	ended    chan struct{}
}

// Start starts a server for the duration of a test. Settings are as on
// postgres's command line: "fsync=on". Where no server is installed the test
// is skipped, or fails if E2E=required is in the environment.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := New(settings...)
	if errors.Is(err, ErrMissing) && os.Getenv("E2E") != "required" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// New starts a server, until Close.
func New(settings ...string) (*Server, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return nil, ErrMissing
	}
	s := &Server{bin: slices.MaxFunc(found, byVersion), settings: append([]string{"fsync=off"}, settings...)}
	if s.dir, err = os.MkdirTemp("", "pgtest"); err != nil {
		return nil, err
	}
	if err := s.initialize(); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.Launch(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func byVersion(a, b string) int {
	version := func(bin string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin))) // 0 comes first
		return n
	}
	return version(a) - version(b)
}

func (s *Server) initialize() error {
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(u.Uid) // numbers, on any system that has /usr/lib/postgresql
		gid, _ := strconv.Atoi(u.Gid)
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.dir, uid, gid); err != nil {
			return err
		}
	}
	port, err := freeport.Take()
	if err != nil {
		return err
	}
	s.port = port
	initdb := s.command("initdb", "-D", "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) command(name string, arguments ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), arguments...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = attributes(s.as)
	return cmd
}

// Launch starts the server again after Stop, on the same port.
func (s *Server) Launch() error {
	arguments := []string{"-D", "data", "-p", strconv.Itoa(s.port), "-k", s.dir, "-c", "listen_addresses=127.0.0.1"}
	for _, setting := range s.settings {
		arguments = append(arguments, "-c", setting)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = s.command("postgres", arguments...)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // Stop's signal, or ready sees that it is gone
		close(ended)
	}(s.process, s.ended)
	return s.ready()
}

// ready waits until the server answers.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.DSN())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.ended:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log")) // for the message only
			return fmt.Errorf("postgres ended: %w\n%s", err, log)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server at once, as a crash of the machine would as far as
// clients can tell.
func (s *Server) Stop() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Signal(syscall.SIGQUIT) // it may have ended by itself
	<-s.ended
	s.process = nil
}

// Close ends the server and removes its files.
func (s *Server) Close() {
	s.Stop()
	_ = os.RemoveAll(s.dir) // in the folder for temporary files
}

// DSN is the connection string of the database "postgres", as superuser.
func (s *Server) DSN() string { return s.database("postgres") }

func (s *Server) database(name string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, name)
}

// NewDatabase makes an empty database and returns its connection string.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("db%d", time.Now().UnixNano())
	s.Exec(t, s.DSN(), "CREATE DATABASE "+name)
	return s.database(name)
}

// NewFolder returns the path of a new folder that the server may enter.
func (s *Server) NewFolder(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(s.dir, fmt.Sprintf("folder%d", time.Now().UnixNano()))
	s.MakeFolder(t, dir)
	return dir
}

// MakeFolder makes a folder that belongs to the server.
func (s *Server) MakeFolder(t testing.TB, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if s.as != nil {
		if err := os.Chown(dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// Exec runs statements in a database.
func (s *Server) Exec(t testing.TB, dsn, statements string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}

// Dump returns a database as statements that make it again.
func (s *Server) Dump(t testing.TB, dsn string) string {
	t.Helper()
	out, err := s.command("pg_dump", "--no-owner", "--no-privileges", "--inserts", "-d", dsn).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
