package clients

import (
	"bytes"
	"os"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// docker is the docker CLI with dockerd.
type docker struct{ *shell }

func TestDocker(t *testing.T) {
	onEachRegistry(t, func(t *testing.T, s *stage.Stage) {
		e := needEngines(t)
		play(t, s, "docker", &docker{newShell(t, s, "DOCKER_HOST="+e.DockerHost())})
	})
}

func (d *docker) Login(user, password, _ string) error {
	_, err := d.pipe(password, "docker", "login", "--username", user, "--password-stdin", d.addr)
	return err
}

func (d *docker) Logout() error {
	_, err := d.run("docker", "logout", d.addr)
	return err
}

func (d *docker) Make(repository, tag string, content []byte) error {
	file, err := d.archive(content)
	if err != nil {
		return err
	}
	_, err = d.run("docker", "import", file, d.ref(repository, tag))
	return err
}

func (d *docker) Push(repository, tag string) error {
	_, err := d.run("docker", "push", d.ref(repository, tag))
	return err
}

func (d *docker) Pull(repository, tag string) (string, error) {
	// Unless nothing else holds its layers, docker has the image already.
	_, _ = d.run("docker", "rmi", "--force", d.ref(repository, tag))
	out, err := d.run("docker", "pull", d.ref(repository, tag))
	if err != nil {
		return "", err
	}
	return digestIn(out, "Digest:")
}

func (d *docker) Retag(from, to, tag string) error {
	_, err := d.run("docker", "tag", d.ref(from, tag), d.ref(to, tag))
	return err
}

func (d *docker) File(string) string { return contentFile }

// contentFile is the name of the content in images that hold archives.
const contentFile = "content.txt"

// archive writes a tar file that holds the content.
func (s *shell) archive(content []byte) (string, error) {
	plain, err := upstream.Archive(contentFile, content)
	if err != nil {
		return "", err
	}
	file := s.path("layer.tar")
	return file, os.WriteFile(file, bytes.Clone(plain), 0o600)
}
