package clients

import (
	"os"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// crane keeps its local images in tar files. It mounts when it copies from a
// registry, even from another one, so that is how it pushes a retagged image:
// from the registry behind the gateway.
type crane struct {
	*shell

	direct string            // the registry behind the gateway
	origin map[string]string // of retagged images
}

func TestCrane(t *testing.T) {
	onEachRegistry(t, func(t *testing.T, s *stage.Stage) {
		process.Need(t, "crane")
		play(t, s, "crane", &crane{shell: newShell(t, s), direct: strings.TrimPrefix(s.Direct.URL, "http://"), origin: map[string]string{}})
	})
}

func (c *crane) Login(user, password, home string) error {
	if _, err := c.pipe(password, "crane", "auth", "login", c.addr, "--username", user, "--password-stdin"); err != nil {
		return err
	}
	if strings.HasPrefix(home, "pub/") {
		home = "pub/app"
	}
	_, err := c.Tags(home)
	return err
}

func (c *crane) Logout() error {
	_, err := c.run("crane", "auth", "logout", c.addr)
	return err
}

func (c *crane) local(repository, tag string) string {
	return c.path(strings.ReplaceAll(repository, "/", "-") + "-" + tag + ".tar")
}

func (c *crane) Make(repository, tag string, content []byte) error {
	file, err := c.archive(content)
	if err != nil {
		return err
	}
	_, err = c.run("crane", "append", "--new_layer", file, "--new_tag", c.ref(repository, tag), "--output", c.local(repository, tag))
	return err
}

func (c *crane) Push(repository, tag string) error {
	ref := c.ref(repository, tag)
	if origin, ok := c.origin[ref]; ok {
		_, err := c.run("crane", "copy", "--insecure", origin, ref)
		return err
	}
	_, err := c.run("crane", "push", "--insecure", c.local(repository, tag), ref)
	return err
}

func (c *crane) Pull(repository, tag string) (string, error) {
	if _, err := c.run("crane", "pull", "--insecure", c.ref(repository, tag), c.path("pulled.tar")); err != nil {
		return "", err
	}
	out, err := c.run("crane", "digest", "--insecure", c.ref(repository, tag))
	return strings.TrimSpace(out), err
}

func (c *crane) Retag(from, to, tag string) error {
	c.origin[c.ref(to, tag)] = c.direct + "/" + from + ":" + tag
	return os.RemoveAll(c.local(to, tag))
}

func (c *crane) Tags(repository string) ([]string, error) {
	out, err := c.run("crane", "ls", "--insecure", c.addr+"/"+repository)
	return strings.Fields(out), err
}

func (c *crane) Delete(repository, tag string) error {
	out, err := c.run("crane", "digest", "--insecure", c.ref(repository, tag))
	if err != nil {
		return err
	}
	_, err = c.run("crane", "delete", "--insecure", c.addr+"/"+repository+"@"+strings.TrimSpace(out))
	return err
}

func (c *crane) File(string) string { return contentFile }
