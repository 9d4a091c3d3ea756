package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// TestRefreshTokens has all clients work where docker login gets an identity
// token: with a login of their own, and with what docker login has kept.
func TestRefreshTokens(t *testing.T) {
	process.Need(t, "docker-registry", "podman", "skopeo", "crane", "helm", "regctl")
	e := needEngines(t)
	s, err := stage.Start(t.Context(), stage.Options{Record: true, Token: "refresh_tokens on"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	dockerShell := newShell(t, s, "DOCKER_HOST="+e.DockerHost())
	d := &docker{dockerShell}
	password, err := s.Password("alice")
	if err != nil {
		t.Fatal(err)
	}

	clients := func(t *testing.T, env ...string) map[string]tool {
		podmanDir, err := os.MkdirTemp("", "podman-") // t.TempDir is too long a name for podman
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(podmanDir) })
		ctr := newShell(t, s, append(env, "CONTAINERD_ADDRESS="+e.ContainerdSocket())...)
		return map[string]tool{
			"podman": &podman{newShell(t, s, env...), podmanDir},
			"skopeo": &skopeo{newShell(t, s, env...)},
			"crane":  &crane{shell: newShell(t, s, env...), direct: strings.TrimPrefix(s.Direct.URL, "http://"), origin: map[string]string{}},
			"helm":   &helm{newShell(t, s, env...)},
			"regctl": &regctl{newShell(t, s, env...)},
			"ctr":    &containerd{shell: ctr, namespace: s.Direct.URL[len("http://"):], maker: &skopeo{ctr}},
		}
	}
	work := func(t *testing.T, name string, client tool) {
		p := &player{T: t, stage: s, client: client, name: name}
		repository := "team/" + name + "/app"
		content := p.makeAndPush(repository)
		p.sameUpstream(repository, content)
		p.pull(repository)
	}
	t.Run("own login", func(t *testing.T) {
		for name, client := range clients(t) {
			t.Run(name, func(t *testing.T) {
				if r, ok := client.(*regctl); ok {
					plainHTTP(t, r)
				}
				if err := client.Login("alice", password, "team/app"); err != nil {
					t.Fatal(err)
				}
				work(t, "own-"+name, client)
			})
		}
	})
	if err := d.Login("alice", password, ""); err != nil {
		t.Fatal(err)
	}
	token := keptToken(t, dockerShell)
	t.Run("docker", func(t *testing.T) { work(t, "docker", d) })
	t.Run("what docker has kept", func(t *testing.T) {
		config := filepath.Join(dockerShell.home, "docker")
		file := filepath.Join(config, "config.json")
		for name, client := range clients(t, "DOCKER_CONFIG="+config, "REGISTRY_AUTH_FILE="+file, "HELM_REGISTRY_CONFIG="+file) {
			t.Run(name, func(t *testing.T) {
				switch c := client.(type) {
				case *regctl:
					plainHTTP(t, c)
				case *containerd:
					c.login = []string{"--refresh", token}
				}
				work(t, "kept-"+name, client)
			})
		}
	})
	t.Run("docker manifest", func(t *testing.T) {
		if _, err := dockerShell.run("docker", "manifest", "inspect", "--insecure", dockerShell.ref("team/docker/app", firstTag)); err != nil {
			t.Error(err)
		}
	})
}

func plainHTTP(t *testing.T, r *regctl) {
	t.Helper()
	if _, err := r.run("regctl", "registry", "set", r.addr, "--tls", "disabled", "--skip-check"); err != nil {
		t.Fatal(err)
	}
}

// keptToken returns the identity token that docker login has kept, and sees
// that it has kept no password.
func keptToken(t *testing.T, s *shell) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.home, "docker", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Auths map[string]struct{ Auth, IdentityToken string }
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	entry := config.Auths[s.addr]
	if !strings.HasPrefix(entry.IdentityToken, "crait_") || len(entry.Auth) > 24 {
		t.Fatalf("docker login has kept %d characters and the token %.6q", len(entry.Auth), entry.IdentityToken)
	}
	return entry.IdentityToken
}
