// Package postgres runs a real PostgreSQL server that can go away and come
// back.
package postgres

import (
	"context"
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

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// Server is a database server. Everybody on this machine is its superuser.
type Server struct {
	bin, dir string
	port     int
	as       *syscall.Credential // who it runs as: it refuses to be root
	process  *process.Process
}

// Start starts a server for the duration of a test. Where none is installed
// the test is skipped, or fails if tools are required.
func Start(t testing.TB) *Server {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		const msg = "postgresql is not installed (.ci/install installs it)"
		if process.Required() {
			t.Fatal(msg)
		}
		t.Skip(msg)
	}
	slices.Sort(found)
	s := &Server{bin: found[len(found)-1]}
	t.Cleanup(s.close)
	if err := s.initialize(); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Server) initialize() (err error) {
	if s.dir, err = os.MkdirTemp("", "postgres-"); err != nil {
		return err
	}
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
	if s.port, err = process.FreePort(); err != nil {
		return err
	}
	out, err := s.command(context.Background(), "initdb", "-D", "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) command(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), arguments...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return cmd
}

// Resume starts the server again after Crash, on the same port.
func (s *Server) Resume(ctx context.Context) (err error) {
	cmd := s.command(context.Background(), "postgres", "-D", "data", "-p", strconv.Itoa(s.port), "-k", s.dir, "-c", "listen_addresses=127.0.0.1")
	if s.process, err = process.Start("postgres", cmd, s.dir+".log"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return s.process.Ready(ctx, func(ctx context.Context) error {
		return s.command(ctx, "psql", "-c", "SELECT 1", s.DSN()).Run()
	})
}

// Crash ends the server at once, with all connections to it.
func (s *Server) Crash() error {
	_ = syscall.Kill(s.process.Pid(), syscall.SIGQUIT) // it may have ended by itself
	select {
	case <-s.process.Ended():
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("postgres does not end")
	}
}

// DSN is the connection string of the database.
func (s *Server) DSN() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// Shell runs a line of shell as the server's user, with its programs in PATH
// and the connection string in DSN.
func (s *Server) Shell(ctx context.Context, line string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "sh", "-euc", line)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + s.bin + ":" + os.Getenv("PATH"), "LC_ALL=C", "REGISTRY_AUTH_DSN=" + s.DSN()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("%s: %w\n%s", line, err, out)
	}
	return out, nil
}

func (s *Server) close() {
	if s.process != nil {
		_ = s.Crash() // nobody needs what it has
	}
	_ = os.RemoveAll(s.dir)
	_ = os.Remove(s.dir + ".log")
}
