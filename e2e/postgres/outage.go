package postgres

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
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
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return s.process.Ready(limit, func(context.Context) error { return s.Shell(`psql -qc "SELECT 1" "$REGISTRY_AUTH_DSN"`) })
}

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
