package clients

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// helm pushes charts: the last part of the repository is the chart's name,
// the tag its version.
type helm struct{ *shell }

func TestHelm(t *testing.T) {
	onEachRegistry(t, func(t *testing.T, s *stage.Stage) {
		process.Need(t, "helm")
		play(t, s, "helm", &helm{newShell(t, s)})
	})
}

func (h *helm) Login(user, password, _ string) error {
	_, err := h.pipe(password, "helm", "registry", "login", h.addr, "--plain-http", "--username", user, "--password-stdin")
	return err
}

func (h *helm) Logout() error {
	_, err := h.run("helm", "registry", "logout", h.addr)
	return err
}

func (h *helm) Make(repository, tag string, content []byte) error {
	chart := h.path(filepath.Join("charts", repository))
	if err := os.MkdirAll(chart, 0o755); err != nil {
		return err
	}
	head := fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\n", path.Base(repository), tag)
	if err := os.WriteFile(filepath.Join(chart, "Chart.yaml"), []byte(head), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(chart, contentFile), content, 0o600); err != nil {
		return err
	}
	_, err := h.run("helm", "package", chart, "--destination", filepath.Dir(chart))
	return err
}

func (h *helm) Push(repository, tag string) error {
	dir, name := path.Split(repository)
	_, err := h.run("helm", "push", h.path(filepath.Join("charts", dir, name+"-"+tag+".tgz")), "oci://"+h.addr+"/"+path.Clean(dir), "--plain-http")
	return err
}

func (h *helm) Pull(repository, tag string) (string, error) {
	out, err := h.run("helm", "pull", "oci://"+h.addr+"/"+repository, "--version", tag, "--plain-http", "--destination", h.home)
	if err != nil {
		return "", err
	}
	return digestIn(out, "Digest:")
}

func (h *helm) File(repository string) string { return path.Base(repository) + "/" + contentFile }
