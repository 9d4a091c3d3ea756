package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// skopeo keeps its local images in directories, one for each repository and tag.
type skopeo struct{ *shell }

func TestSkopeo(t *testing.T) {
	onEachRegistry(t, func(t *testing.T, s *stage.Stage) {
		process.Need(t, "skopeo")
		play(t, s, "skopeo", &skopeo{newShell(t, s)})
	})
}

func (k *skopeo) Login(user, password, _ string) error {
	_, err := k.pipe(password, "skopeo", "login", "--tls-verify=false", "--username", user, "--password-stdin", k.addr)
	return err
}

func (k *skopeo) Logout() error {
	_, err := k.run("skopeo", "logout", k.addr)
	return err
}

// local is where an image lies on disk.
func (k *skopeo) local(repository, tag string) string {
	return k.path(strings.ReplaceAll(repository, "/", "-") + "-" + tag)
}

func (k *skopeo) Make(repository, tag string, content []byte) error {
	file, err := k.archive(content)
	if err != nil {
		return err
	}
	_, err = k.run("skopeo", "copy", "tarball:"+file, "dir:"+k.local(repository, tag))
	return err
}

func (k *skopeo) Push(repository, tag string) error {
	_, err := k.run("skopeo", "copy", "--dest-tls-verify=false", "dir:"+k.local(repository, tag), "docker://"+k.ref(repository, tag))
	return err
}

func (k *skopeo) Pull(repository, tag string) (string, error) {
	dir := k.local(repository, tag)
	if _, err := k.run("skopeo", "copy", "--src-tls-verify=false", "docker://"+k.ref(repository, tag), "dir:"+dir); err != nil {
		return "", err
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	return upstream.Digest(manifest), err
}

func (k *skopeo) Retag(from, to, tag string) error {
	return os.Rename(k.local(from, tag), k.local(to, tag))
}

func (k *skopeo) Tags(repository string) ([]string, error) {
	out, err := k.run("skopeo", "list-tags", "--tls-verify=false", "docker://"+k.addr+"/"+repository)
	if err != nil {
		return nil, err
	}
	var list struct{ Tags []string }
	return list.Tags, json.Unmarshal([]byte(out), &list)
}

func (k *skopeo) Delete(repository, tag string) error {
	_, err := k.run("skopeo", "delete", "--tls-verify=false", "docker://"+k.ref(repository, tag))
	return err
}

func (k *skopeo) File(string) string { return contentFile }
