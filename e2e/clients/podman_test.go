package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

type podman struct {
	*shell

	dir string // of its storage
}

func TestPodman(t *testing.T) {
	onEachRegistry(t, func(t *testing.T, s *stage.Stage) {
		process.Need(t, "podman")
		dir, err := os.MkdirTemp("", "podman-") // t.TempDir is too long a name for podman
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		play(t, s, "podman", &podman{newShell(t, s), dir})
	})
}

// podman runs podman with a storage of its own.
func (p *podman) podman(args ...string) (string, error) {
	return p.run("podman", append([]string{"--root", filepath.Join(p.dir, "root"), "--runroot", filepath.Join(p.dir, "run"), "--storage-driver", "vfs"}, args...)...)
}

func (p *podman) Login(user, password, _ string) error {
	_, err := p.pipe(password, "podman", "login", "--tls-verify=false", "--username", user, "--password-stdin", p.addr)
	return err
}

func (p *podman) Logout() error {
	_, err := p.run("podman", "logout", p.addr)
	return err
}

func (p *podman) Make(repository, tag string, content []byte) error {
	file, err := p.archive(content)
	if err != nil {
		return err
	}
	_, err = p.podman("import", "--quiet", file, p.ref(repository, tag))
	return err
}

func (p *podman) Push(repository, tag string) error {
	_, err := p.podman("push", "--tls-verify=false", p.ref(repository, tag))
	return err
}

func (p *podman) Pull(repository, tag string) (string, error) {
	_, _ = p.podman("rmi", "--force", p.ref(repository, tag)) // if it is there
	if out, err := p.podman("pull", "--tls-verify=false", p.ref(repository, tag)); err != nil {
		return out, err
	}
	out, err := p.podman("image", "inspect", "--format", "{{.Digest}}", p.ref(repository, tag))
	return strings.TrimSpace(out), err
}

func (p *podman) Retag(from, to, tag string) error {
	_, err := p.podman("tag", p.ref(from, tag), p.ref(to, tag))
	return err
}

func (p *podman) Tags(repository string) ([]string, error) {
	out, err := p.podman("search", "--tls-verify=false", "--list-tags", "--format", "{{.Tag}}", p.addr+"/"+repository)
	return strings.Fields(out), err
}

func (p *podman) File(string) string { return contentFile }
