package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// engines are a containerd and a dockerd of the tests' own: no bridge, no
// firewall rules, nothing shared with those of the machine.
type engines struct {
	dir                string
	containerd, docker *process.Process
}

// needEngines returns the engines, started if need be.
func needEngines(t *testing.T) *engines {
	t.Helper()
	process.Need(t, "docker", "dockerd", "containerd", "ctr")
	if os.Getuid() != 0 {
		const msg = "dockerd and containerd need root"
		if process.Required() {
			t.Fatal(msg)
		}
		t.Skip(msg)
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.engines == nil {
		e, err := startEngines()
		if err != nil {
			t.Fatal(err)
		}
		shared.engines = e
	}
	return shared.engines
}

func startEngines() (*engines, error) {
	dir, err := os.MkdirTemp("", "engines-")
	if err != nil {
		return nil, err
	}
	e := &engines{dir: dir}
	if err := e.start(); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

func (e *engines) start() error {
	config := fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = %q
`, e.path("c-root"), e.path("c-state"), e.containerdSocket())
	if err := os.WriteFile(e.path("containerd.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var err error
	e.containerd, err = process.Start("containerd", exec.Command("containerd", "--config", e.path("containerd.toml")), e.path("containerd.log"))
	if err != nil {
		return err
	}
	if err := e.containerd.Ready(ctx, func(ctx context.Context) error {
		return exec.CommandContext(ctx, "ctr", "--address", e.containerdSocket(), "version").Run()
	}); err != nil {
		return err
	}
	e.docker, err = process.Start("dockerd", exec.Command("dockerd",
		"--containerd", e.containerdSocket(), "--data-root", e.path("d-data"), "--exec-root", e.path("d-exec"),
		"--pidfile", e.path("dockerd.pid"), "--host", e.dockerHost(),
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"), e.path("dockerd.log"))
	if err != nil {
		return err
	}
	return e.docker.Ready(ctx, func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, "docker", "version")
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.dockerHost())
		return cmd.Run()
	})
}

func (e *engines) path(name string) string  { return filepath.Join(e.dir, name) }
func (e *engines) dockerHost() string       { return "unix://" + e.path("docker.sock") }
func (e *engines) containerdSocket() string { return e.path("containerd.sock") }

func (e *engines) stop() {
	for _, p := range []*process.Process{e.docker, e.containerd} {
		if p == nil {
			continue
		}
		if err := p.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if err := os.RemoveAll(e.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
