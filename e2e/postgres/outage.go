package postgres

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

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

// Resume starts the server again after Crash, on the same port, and waits
// until it has recovered.
func (s *Server) Resume(ctx context.Context) error {
	cmd, err := s.command("postgres", "-D", "data", "-p", strconv.Itoa(s.port), "-k", s.dir, "-c", "listen_addresses=127.0.0.1")
	if err != nil {
		return err
	}
	if s.process, err = process.Start("postgres", cmd, filepath.Join(s.dir, "log")); err != nil {
		return err
	}
	return s.answers(ctx)
}

// answers waits until the server does.
func (s *Server) answers(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return s.process.Ready(limit, func(context.Context) error { return s.Shell(`psql -qc "SELECT 1" "$REGISTRY_AUTH_DSN"`) })
}

// Freeze stops all processes of the server where they are, Thaw lets them go
// on.
func (s *Server) Freeze() error { return s.signal(syscall.SIGSTOP) }

// Thaw ends what Freeze began.
func (s *Server) Thaw() error { return s.signal(syscall.SIGCONT) }

// signal sends the server and its children, which have sessions of their own,
// a signal; the server first, so that it starts no others.
func (s *Server) signal(signal syscall.Signal) error {
	server := s.process.Pid()
	if err := syscall.Kill(server, signal); err != nil {
		return err
	}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, file := range all {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent: the name may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(server) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return err
		}
		_ = syscall.Kill(pid, signal) // it may have ended
	}
	return nil
}

// Standby starts a server that has what this one has, and confirms each change
// before this one does.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	second := &Server{bin: s.bin}
	var err error
	if second.dir, err = os.MkdirTemp("", "postgres-"); err != nil {
		return nil, err
	}
	if err := second.follow(ctx, s); err != nil {
		_ = second.Stop()
		return nil, fmt.Errorf("start a standby: %w", err)
	}
	return second, nil
}

func (s *Server) follow(ctx context.Context, first *Server) (err error) {
	if s.port, err = process.FreePort(); err != nil {
		return err
	}
	copying, err := s.command("pg_basebackup", "-D", "data", "-R", "-X", "stream", "-c", "fast", "--no-sync",
		"-d", first.DSN()+"&application_name=standby")
	if err != nil {
		return err
	}
	if out, err := copying.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	if err := s.Resume(ctx); err != nil {
		return err
	}
	return first.Shell(`psql -qc "ALTER SYSTEM SET synchronous_standby_names = 'standby'" -c "SELECT pg_reload_conf()" "$REGISTRY_AUTH_DSN" >/dev/null`)
}

// Promote makes a standby the primary.
func (s *Server) Promote() error {
	return s.Shell(`psql -qc "SELECT pg_promote()" "$REGISTRY_AUTH_DSN" >/dev/null`)
}

// Addr is the server's host and port.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// Shell runs a line of shell as the server's user, in the folder of its files,
// with its programs in PATH and the connection string in REGISTRY_AUTH_DSN.
func (s *Server) Shell(line string) error {
	cmd, err := s.command("sh", "-euc", line)
	if err != nil {
		return err
	}
	cmd.Path = "/bin/sh" // which is none of its programs
	cmd.Env = append(cmd.Env, "PATH="+s.bin+":/usr/bin:/bin", "REGISTRY_AUTH_DSN="+s.DSN())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", line, err, out)
	}
	return nil
}
