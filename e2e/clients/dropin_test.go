package clients

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// What the registries were configured with while Keycloak or Harbor issued the
// tokens: none of it is changed but the file with the keys.
const (
	keycloakService = "docker-registry"
	keycloakIssuer  = "https://sso.example.com/realms/corp"
	keycloakPath    = "/realms/corp/protocol/docker-v2/auth"
	keycloakLines   = "keycloak corp\nservice_alias " + keycloakService + "\nissuer " + keycloakIssuer + "\n"

	harborService = "harbor-registry"
	harborIssuer  = "harbor-token-issuer"
	harborPath    = "/service/token"
	harborLines   = "path " + harborPath + "\nservice_alias " + harborService + "\nissuer " + harborIssuer + "\n"
)

// TestDropIn puts the gateway where the token server of a registry stood.
// Clients talk to the registry and to nobody else, follow its challenge, and
// the registry verifies what they come back with.
func TestDropIn(t *testing.T) {
	keycloak := upstream.TokenAuth{Realm: keycloakPath, Service: keycloakService, Issuer: keycloakIssuer}
	undocumented := upstream.TokenAuth{Realm: strings.TrimSuffix(keycloakPath, "/auth"), Service: keycloakService, Issuer: keycloakIssuer}
	harbor := upstream.TokenAuth{Realm: harborPath, Service: harborService, Issuer: harborIssuer}
	for _, c := range []struct {
		name  string
		kind  upstream.Kind
		auth  upstream.TokenAuth
		lines string
		jwks  bool
	}{
		{"Keycloak, 2.8.2, rootcertbundle, libtrust", upstream.Distribution2, keycloak, keycloakLines + "algorithm RS256\nkey_id libtrust", false},
		{"Keycloak, 2.8.2, rootcertbundle, x5c", upstream.Distribution2, keycloak, keycloakLines + "x5c", false},
		{"Keycloak as its documentation has it, 2.8.2", upstream.Distribution2, undocumented, keycloakLines + "x5c", false},
		{"Keycloak, 3, rootcertbundle, x5c", upstream.Distribution3, keycloak, keycloakLines + "x5c", false},
		{"Keycloak, 3, key set, libtrust", upstream.Distribution3, keycloak, keycloakLines + "key_id libtrust", true},
		{"Keycloak, 3, key set", upstream.Distribution3, keycloak, keycloakLines, true},
		{"Harbor, 2.8.2, rootcertbundle, x5c", upstream.Distribution2, harbor, harborLines + "algorithm RS256\nx5c", false},
		{"Harbor, 2.8.2, rootcertbundle, libtrust", upstream.Distribution2, harbor, harborLines + "key_id libtrust", false},
		{"Harbor, 3, rootcertbundle, x5c", upstream.Distribution3, harbor, harborLines + "x5c", false},
		{"Harbor, 3, key set", upstream.Distribution3, harbor, harborLines, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			process.Need(t, c.kind.Program, "skopeo", "curl")
			s := startTokenServer(t, c.kind, c.lines)
			auth := c.auth
			auth.Realm = s.URL + auth.Realm
			registry := startRegistry(t, s, c.kind, &auth, c.jwks)
			useThroughChallenge(t, s, registry, &auth)
		})
	}
}

// startTokenServer starts a stage whose gateway is asked for tokens only.
func startTokenServer(t *testing.T, kind upstream.Kind, lines string) *stage.Stage {
	t.Helper()
	s, err := stage.Start(t.Context(), stage.Options{Kind: kind, Token: lines})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return s
}

// useThroughChallenge is what clients do with a registry that they know by
// its address only.
func useThroughChallenge(t *testing.T, s *stage.Stage, registry *upstream.Registry, auth *upstream.TokenAuth) {
	t.Helper()
	res, err := http.Get(registry.URL + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	want := fmt.Sprintf(`Bearer realm=%q,service=%q`, auth.Realm, auth.Service)
	if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != http.StatusUnauthorized || got != want {
		t.Fatalf("the registry asks for %q, want %q", got, want)
	}
	client := &skopeo{newShell(t, s)}
	client.addr = strings.TrimPrefix(registry.URL, "http://")
	p := &player{T: t, stage: s, client: client, name: "dropin"}
	p.refused("login with a wrong secret", client.Login("robot-ci", "wrong", ""))
	p.login("robot-ci", "")
	p.must("make an image", client.Make("team/dropin", firstTag, []byte(t.Name())))
	p.must("push", client.Push("team/dropin", firstTag))
	if _, err := client.Pull("team/dropin", firstTag); err != nil {
		t.Error(err)
	}
	p.must("make an image", client.Make("other/dropin", firstTag, []byte(t.Name())))
	p.refused("push to a foreign repository", client.Push("other/dropin", firstTag))
	p.must("logout", client.Logout())
	_, err = client.Pull("team/dropin", firstTag)
	p.refused("anonymous pull", err)
}

// TestExports gives each registry what the gateway's command prints for it.
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
		for _, format := range []string{"distribution", "env"} {
			t.Run(c.name+", "+format, func(t *testing.T) {
				process.Need(t, c.kind.Program, "skopeo")
				s := startTokenServer(t, c.kind, c.lines)
				dir := t.TempDir()
				for name, kind := range map[string]string{"gateway.pem": "certificates", "gateway.json": "jwks"} {
					if err := os.WriteFile(filepath.Join(dir, name), exported(t, s, "", kind), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				// The files that it names, in the test's own folder.
				text := strings.ReplaceAll(string(exported(t, s, "", format)), "/etc/registry/", dir+"/")
				options := upstream.Options{Config: text}
				if format == "env" {
					options = upstream.Options{Env: variables(text)}
				}
				registry, err := upstream.Start(t.Context(), c.kind, dir, options)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { registry.Stop() })
				useThroughChallenge(t, s, registry, &upstream.TokenAuth{Realm: s.URL + "/v2/token", Service: stage.Service})
			})
		}
	}
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

// TestExportedDockerConfig lets docker pull with a configuration that it did
// not write itself.
func TestExportedDockerConfig(t *testing.T) {
	e := needEngines(t)
	process.Need(t, upstream.Distribution2.Program)
	s := sharedStage(t, upstream.Distribution2)
	client := &docker{newShell(t, s, "DOCKER_HOST="+e.DockerHost())}
	if _, err := client.Pull("team/app", "x"); err == nil {
		t.Fatal("docker is logged in already")
	}
	config := client.path("docker/config.json")
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, exported(t, s, "robot-ci", "docker-config"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &player{T: t, stage: s, client: client, name: "exported"}
	content := p.makeAndPush("team/exported")
	p.sameUpstream("team/exported", content)
	p.pull("team/exported")
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
