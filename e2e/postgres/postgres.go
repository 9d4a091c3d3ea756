// Package postgres runs a PostgreSQL of the tests' own, which several gateways
// share.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// Server is a PostgreSQL under way.
type Server struct {
	bin, dir string
	port     int
	process  *process.Process
}

// Need skips the test, or fails it where tools are required, unless a server
// is installed.
func Need(t testing.TB) {
	t.Helper()
	if _, err := programs(); err == nil {
		return
	}
	const msg = "postgresql is not installed (.ci/install installs it)"
	if process.Required() {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return "", errors.New("no /usr/lib/postgresql")
	}
	return found[len(found)-1], nil
}

// Start makes a database and starts a server for it.
func Start(ctx context.Context) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.dir, err = os.MkdirTemp("", "postgres-"); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		_ = s.Stop()
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) (err error) {
	initdb, err := s.command("initdb", "-D", "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync")
	if err != nil {
		return err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if s.port, err = process.FreePort(); err != nil {
		return err
	}
	cmd, err := s.command("postgres", "-D", "data", "-p", strconv.Itoa(s.port), "-k", s.dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
	if err != nil {
		return err
	}
	if s.process, err = process.Start("postgres", cmd, filepath.Join(s.dir, "log")); err != nil {
		return err
	}
	return s.answers(ctx)
}

// command runs a program of PostgreSQL as a user that it accepts: not as root.
func (s *Server) command(name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Getuid() != 0 {
		return cmd, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers, where there is such a user
	gid, _ := strconv.Atoi(u.Gid)
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return cmd, os.Chown(s.dir, uid, gid)
}

// DSN is how gateways connect.
func (s *Server) DSN() string {
	return "postgres://postgres@" + s.Addr() + "/postgres?sslmode=disable"
}

// Stop ends the server and removes its data.
func (s *Server) Stop() error {
	var err error
	if s.process != nil {
		err = s.process.Stop()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
