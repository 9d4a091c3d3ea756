package clients

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// commandTimeout is for what is done in a moment.
const commandTimeout = 60 * time.Second

// shell runs the commands of one client with a home directory of their own.
type shell struct {
	t    *testing.T
	home string
	env  []string
	// addr is the gateway's host and port, the registry's name to clients.
	addr string
	// timeout bounds each command: a client that hangs is a failure.
	timeout time.Duration
}

func newShell(t *testing.T, s *stage.Stage, env ...string) *shell {
	t.Helper()
	home := t.TempDir()
	authFile := filepath.Join(home, "auth.json")
	if err := os.WriteFile(authFile, []byte("{}"), 0o600); err != nil { // podman wants it to exist
		t.Fatal(err)
	}
	return &shell{t: t, home: home, addr: s.Addr, timeout: commandTimeout, env: append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home,
		"DOCKER_CONFIG=" + filepath.Join(home, "docker"), "REGISTRY_AUTH_FILE=" + authFile,
		"XDG_RUNTIME_DIR=" + home, "XDG_DATA_HOME=" + filepath.Join(home, "data"), "XDG_CONFIG_HOME=" + filepath.Join(home, "config"),
	}, env...)}
}

// run runs a command and returns what it printed.
func (s *shell) run(name string, args ...string) (string, error) {
	return s.pipe("", name, args...)
}

// pipe is run with standard input.
func (s *shell) pipe(stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), s.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = s.env, s.home
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tail(out.String()))
	}
	return out.String(), nil
}

// ref names an image at the gateway.
func (s *shell) ref(repository, tag string) string {
	return s.addr + "/" + repository + ":" + tag
}

func (s *shell) path(name string) string { return filepath.Join(s.home, name) }

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-4):], " | ")
}

// digestIn finds the digest that a client printed after a label.
func digestIn(out, label string) (string, error) {
	_, rest, found := strings.Cut(out, label)
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 || !strings.HasPrefix(fields[0], "sha256:") {
		return "", fmt.Errorf("no digest after %q in %q", label, tail(out))
	}
	return fields[0], nil
}
