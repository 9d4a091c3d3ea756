package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// Config is what a gateway is started with.
type Config struct {
	// Global are lines for the Caddyfile's global options, Sites the rest.
	Global, Sites string
	// Env are variables ("NAME=value") for the placeholders in it.
	Env []string
	// Level is from where on it logs; empty is DEBUG.
	Level string
	// ReadyURL answers anything but 503 once the gateway is ready.
	ReadyURL string
}

// Gateway is a gateway under way.
type Gateway struct {
	// Log is what it logs.
	Log *Log

	program  string
	dir      string
	env      []string
	readyURL string
	process  *process.Process
}

// Start builds the gateway, runs it with a state directory of its own and
// waits until it is ready.
func Start(ctx context.Context, c Config) (*Gateway, error) {
	g, err := Launch(c)
	if err != nil {
		return nil, err
	}
	if err := g.Ready(ctx); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

// Launch is [Start] for a gateway that may have to wait for something.
func Launch(c Config) (*Gateway, error) {
	program, err := Build()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gateway-")
	if err != nil {
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	g := &Gateway{Log: newLog(), program: program, dir: dir}
	g.env = append(os.Environ(),
		"XDG_DATA_HOME="+filepath.Join(dir, "data"),
		"XDG_CONFIG_HOME="+filepath.Join(dir, "config"),
		"HOME="+dir)
	g.env = append(g.env, c.Env...)
	if err := g.launch(c); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

func (g *Gateway) launch(c Config) error {
	if err := g.write(c); err != nil {
		return err
	}
	cmd := exec.Command(g.program, "run", "--config", g.Caddyfile(), "--adapter", "caddyfile")
	cmd.Env = g.env
	cmd.Dir = g.dir
	cmd.Stderr = g.Log
	var err error
	g.readyURL = c.ReadyURL
	g.process, err = process.Start("gateway", cmd, filepath.Join(g.dir, "stdout"))
	return err
}

// Ready waits until the gateway is, for up to 30 seconds.
func (g *Gateway) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := g.process.Ready(ctx, process.Answers(g.readyURL)); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.Join(g.Log.Tail(20), "\n"))
	}
	return nil
}

// Kill ends the gateway as a loss of power would. What it has kept stays.
func (g *Gateway) Kill() { g.process.Kill() }

// Signal sends the gateway's process a signal.
func (g *Gateway) Signal(s syscall.Signal) error { return syscall.Kill(g.process.Pid(), s) }

// Ended is closed when the gateway's process has ended.
func (g *Gateway) Ended() <-chan struct{} { return g.process.Ended() }

// Relaunch is [Gateway.Restart] without waiting: neither for the process
// before, which may still be there or be gone, nor until the gateway is ready.
func (g *Gateway) Relaunch(c Config) error { return g.launch(c) }

// Restart starts a gateway that was killed, with what it has kept. One that
// still runs is stopped first.
func (g *Gateway) Restart(ctx context.Context, c Config) error {
	if err := g.process.Stop(); err != nil {
		return err
	}
	if err := g.launch(c); err != nil {
		return err
	}
	return g.Ready(ctx)
}

func (g *Gateway) write(c Config) error {
	text := fmt.Sprintf(`{
	admin unix/%s
	persist_config off
	grace_period 3s
	log {
		level %s
	}
%s
}
%s
`, g.adminSocket(), cmp.Or(c.Level, "DEBUG"), c.Global, c.Sites)
	if err := os.WriteFile(g.Caddyfile(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the Caddyfile: %w", err)
	}
	return nil
}

// Reload replaces the configuration as `caddy reload` does. Global options
// and environment stay part of it.
func (g *Gateway) Reload(ctx context.Context, c Config) error {
	if err := g.write(c); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, g.program, "reload", "--config", g.Caddyfile(), "--adapter", "caddyfile")
	cmd.Env = g.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("reload the gateway: %w\n%s", err, out)
	}
	return nil
}

// Command prepares a run of the gateway's program with the gateway's own
// environment.
func (g *Gateway) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.program, args...)
	cmd.Env = slices.Clone(g.env)
	return cmd
}

// Stop ends the gateway and removes its state.
func (g *Gateway) Stop() error {
	var err error
	if g.process != nil {
		err = g.process.Stop()
	}
	_ = os.RemoveAll(g.dir) // a temporary directory
	return err
}

// Caddyfile is the file the gateway was configured with.
func (g *Gateway) Caddyfile() string { return filepath.Join(g.dir, "Caddyfile") }

func (g *Gateway) adminSocket() string { return filepath.Join(g.dir, "admin.sock") }

// DataDir is Caddy's data directory: what the gateway keeps is below it.
func (g *Gateway) DataDir() string { return filepath.Join(g.dir, "data", "caddy") }
