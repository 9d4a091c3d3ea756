// Package engine runs container engines of the tests' own: no bridge, no
// firewall rules, nothing shared with those of the machine.
package engine

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

// Engines are a containerd and a dockerd.
type Engines struct {
	dir                string
	containerd, docker *process.Process
}

// Need skips the test, or fails it where tools are required, unless engines
// can be started here.
func Need(t testing.TB) {
	t.Helper()
	process.Need(t, "docker", "dockerd", "containerd", "ctr")
	if os.Getuid() == 0 {
		return
	}
	const msg = "dockerd and containerd need root"
	if process.Required() {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

// Start starts both and waits until they answer.
func Start() (*Engines, error) {
	dir, err := os.MkdirTemp("", "engines-")
	if err != nil {
		return nil, err
	}
	e := &Engines{dir: dir}
	if err := e.start(); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

func (e *Engines) start() error {
	config := fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = %q
`, e.path("c-root"), e.path("c-state"), e.ContainerdSocket())
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
		return exec.CommandContext(ctx, "ctr", "--address", e.ContainerdSocket(), "version").Run()
	}); err != nil {
		return err
	}
	e.docker, err = process.Start("dockerd", exec.Command("dockerd",
		"--containerd", e.ContainerdSocket(), "--data-root", e.path("d-data"), "--exec-root", e.path("d-exec"),
		"--pidfile", e.path("dockerd.pid"), "--host", e.DockerHost(),
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"), e.path("dockerd.log"))
	if err != nil {
		return err
	}
	return e.docker.Ready(ctx, func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, "docker", "version")
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.DockerHost())
		return cmd.Run()
	})
}

func (e *Engines) path(name string) string { return filepath.Join(e.dir, name) }

// DockerHost is the DOCKER_HOST of the dockerd.
func (e *Engines) DockerHost() string { return "unix://" + e.path("docker.sock") }

// ContainerdSocket is the address of the containerd.
func (e *Engines) ContainerdSocket() string { return e.path("containerd.sock") }

// Stop ends both and removes what they kept.
func (e *Engines) Stop() {
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
