package clients

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// regctl pushes artifacts from an OCI layout on disk.
type regctl struct{ *shell }

func TestRegctl(t *testing.T) {
	onEachRegistry(t, func(t *testing.T, s *stage.Stage) {
		process.Need(t, "regctl")
		client := &regctl{newShell(t, s)}
		if _, err := client.run("regctl", "registry", "set", client.addr, "--tls", "disabled", "--skip-check"); err != nil {
			t.Fatal(err)
		}
		play(t, s, "regctl", client)
	})
}

func (r *regctl) Login(user, password, _ string) error {
	_, err := r.pipe(password, "regctl", "registry", "login", r.addr, "--user", user, "--pass-stdin")
	return err
}

func (r *regctl) Logout() error {
	_, err := r.run("regctl", "registry", "logout", r.addr)
	return err
}

func (r *regctl) local(repository, tag string) string {
	return "ocidir://" + strings.ReplaceAll(repository, "/", "-") + ":" + tag
}

func (r *regctl) Make(repository, tag string, content []byte) error {
	_, err := r.pipe(string(content), "regctl", "artifact", "put", "--artifact-type", "application/x.test", r.local(repository, tag))
	return err
}

func (r *regctl) Push(repository, tag string) error {
	_, err := r.run("regctl", "image", "copy", r.local(repository, tag), r.ref(repository, tag))
	return err
}

func (r *regctl) Pull(repository, tag string) (string, error) {
	if _, err := r.run("regctl", "image", "copy", r.ref(repository, tag), "ocidir://pulled:"+tag); err != nil {
		return "", err
	}
	out, err := r.run("regctl", "image", "digest", "ocidir://pulled:"+tag)
	out = strings.TrimSpace(out)
	return out[strings.LastIndexByte(out, '\n')+1:], err // after warnings
}

func (r *regctl) Tags(repository string) ([]string, error) {
	out, err := r.run("regctl", "tag", "ls", r.addr+"/"+repository)
	return strings.Fields(out), err
}

func (r *regctl) Delete(repository, tag string) error {
	_, err := r.run("regctl", "tag", "rm", r.ref(repository, tag))
	return err
}

func (r *regctl) File(string) string { return "" }
