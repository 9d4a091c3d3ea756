package clients

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// containerd is driven by ctr, which takes credentials with each command.
type containerd struct {
	*shell

	namespace string
	login     []string
	maker     *skopeo
}

func TestContainerd(t *testing.T) {
	onEachRegistry(t, func(t *testing.T, s *stage.Stage) {
		process.Need(t, "skopeo") // ctr cannot make images
		e := needEngines(t)
		sh := newShell(t, s, "CONTAINERD_ADDRESS="+e.ContainerdSocket())
		play(t, s, "ctr", &containerd{shell: sh, namespace: s.Direct.URL[len("http://"):], maker: &skopeo{sh}})
	})
}

// images runs ctr images with the flags that reach the gateway.
func (c *containerd) images(command string, args ...string) (string, error) {
	line := []string{"--namespace", strings.NewReplacer(":", "-").Replace(c.namespace), "images", command}
	return c.run("ctr", append(line, args...)...)
}

func (c *containerd) remote(command string, args ...string) (string, error) {
	return c.images(command, append(append([]string{"--plain-http"}, c.login...), args...)...)
}

func (c *containerd) Login(user, password, home string) error {
	c.login = []string{"--user", user + ":" + password}
	if home == "team/ctr/app" || strings.HasPrefix(home, "pub/") { // nothing is there yet
		home = "team/app"
		if user == "robot-dev" {
			home = "pub/app"
		}
	}
	_, err := c.Pull(home, "x")
	return err
}

func (c *containerd) Logout() error {
	c.login = nil
	return nil
}

func (c *containerd) Make(repository, tag string, content []byte) error {
	file, err := c.archive(content)
	if err != nil {
		return err
	}
	archive := c.path("image.tar")
	if _, err := c.run("rm", "-f", archive); err != nil {
		return err
	}
	if _, err := c.run("skopeo", "copy", "tarball:"+file, "docker-archive:"+archive+":"+c.ref(repository, tag)); err != nil {
		return err
	}
	_, err = c.images("import", "--snapshotter", "native", archive)
	return err
}

func (c *containerd) Push(repository, tag string) error {
	_, err := c.remote("push", c.ref(repository, tag))
	return err
}

func (c *containerd) Pull(repository, tag string) (string, error) {
	ref := c.ref(repository, tag)
	_, _ = c.images("remove", "--sync", ref) // if it is there
	if _, err := c.remote("pull", "--snapshotter", "native", ref); err != nil {
		return "", err
	}
	out, err := c.images("list", "name=="+ref)
	if err != nil {
		return "", err
	}
	for _, field := range strings.Fields(out) {
		if strings.HasPrefix(field, "sha256:") {
			return field, nil
		}
	}
	return "", fmt.Errorf("%s is not in the list of images: %s", ref, out)
}

func (c *containerd) Retag(from, to, tag string) error {
	_, err := c.images("tag", "--force", c.ref(from, tag), c.ref(to, tag))
	return err
}

func (c *containerd) File(string) string { return contentFile }
