package clients

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// TestExports gives each registry what the gateway's command prints for it, in
// each form that is for registries.
func TestExports(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  upstream.Kind
		lines string
	}{
		{"2.8.2", upstream.Distribution2, "x5c"},
		{"2.8.2, libtrust", upstream.Distribution2, "key_id libtrust"},
		{"3", upstream.Distribution3, "x5c"},
		{"3, EdDSA", upstream.Distribution3, "algorithm EdDSA"},
	} {
		t.Run(c.name, func(t *testing.T) {
			process.Need(t, c.kind.Program, "skopeo")
			s := startTokenServer(t, c.kind, c.lines)
			dir := t.TempDir()
			// What the comments of the exported configuration have one fetch.
			for name, format := range map[string]string{"gateway.pem": "certificates", "gateway.json": "jwks"} {
				write(t, filepath.Join(dir, name), string(exported(t, s, "", format)))
			}
			for format, options := range map[string]func(*testing.T, *stage.Stage, string) upstream.Options{
				"distribution": distributionOptions, "env": envOptions, "compose": composeOptions, "kubernetes": secretOptions,
			} {
				t.Run(format, func(t *testing.T) {
					registry, err := upstream.Start(t.Context(), c.kind, filepath.Join(dir, format), options(t, s, dir))
					must(t, err)
					t.Cleanup(func() { registry.Stop() })
					useThroughChallenge(t, s, registry, &upstream.TokenAuth{Realm: s.URL + "/v2/token", Service: stage.Service})
				})
			}
		})
	}
}

// inFolder has the registry find its files in the test's own folder.
func inFolder(text []byte, dir string) string {
	return strings.ReplaceAll(string(text), "/etc/registry/", dir+"/")
}

func distributionOptions(t *testing.T, s *stage.Stage, dir string) upstream.Options {
	return upstream.Options{Config: inFolder(exported(t, s, "", "distribution"), dir)}
}

func envOptions(t *testing.T, s *stage.Stage, dir string) upstream.Options {
	return upstream.Options{Env: variables(inFolder(exported(t, s, "", "env"), dir))}
}

// variables are the lines of an --env-file, as docker reads it.
func variables(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// TestExportedDockerConfig lets docker push and pull with a configuration that
// it did not write itself, also as it is in a Secret for imagePullSecrets.
func TestExportedDockerConfig(t *testing.T) {
	e := needEngines(t)
	process.Need(t, upstream.Distribution2.Program)
	s := sharedStage(t, upstream.Distribution2)
	for name, config := range map[string]string{
		"docker-config": string(exported(t, s, "robot-ci", "docker-config")),
		"kubernetes":    exportedSecrets(t, s, "robot-ci")["registry-login"].StringData[corev1.DockerConfigJsonKey],
	} {
		t.Run(name, func(t *testing.T) {
			client := &docker{newShell(t, s, "DOCKER_HOST="+e.DockerHost())}
			if _, err := client.Pull("team/app", "x"); err == nil {
				t.Fatal("docker is logged in already")
			}
			must(t, os.MkdirAll(client.path("docker"), 0o700))
			write(t, client.path("docker/config.json"), config)
			p := &player{T: t, stage: s, client: client, name: "exported"}
			content := p.makeAndPush("team/exported-" + name)
			p.sameUpstream("team/exported-"+name, content)
			p.pull("team/exported-" + name)
		})
	}
}

// exported runs the gateway's export-config with its own Caddyfile.
func exported(t *testing.T, s *stage.Stage, user, format string) []byte {
	t.Helper()
	program, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"registry-auth", "export-config", "--config", s.Gateway.Caddyfile(), "--for", format}
	var stdin io.Reader
	if user != "" {
		args = append(args, "--user", user)
		secret, err := s.Password(user)
		if err != nil {
			t.Fatal(err)
		}
		stdin = strings.NewReader(secret + "\n")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = stdin
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("export-config --for %s: %v: %s", format, err, tail(complaint.String()))
	}
	return out
}
