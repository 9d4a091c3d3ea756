package registryauth_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// startAdministered runs a gateway with an administration endpoint, and returns
// it with the endpoint's address.
func startAdministered(t *testing.T, network string) (*gateway, string) {
	t.Helper()
	t.Setenv("TEST_ADMIN_KEY", adminKey)
	dir, err := os.MkdirTemp("", "ra") // names of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	address := "unix/" + filepath.Join(dir, "admin.sock")
	if network == "tcp" {
		address = freeAddress(t)
	}
	g := startGateway(t, administered)
	g.administer(address, administered)
	return g, address
}

var administered = strings.ReplaceAll(managedRealm, "immutable_nothing", "")

// administer loads the settings with an administration endpoint.
func (g *gateway) administer(address, realm string) {
	g.t.Helper()
	text := strings.ReplaceAll(g.caddyfile(realm), "HASH", g.hash)
	if err := loadCaddyfile(g.t, strings.Replace(text, "admin off", "admin "+address, 1)); err != nil {
		g.t.Fatal(err)
	}
}

// command runs a command of registry-auth that must succeed.
func command(t *testing.T, line string) string {
	t.Helper()
	out, status := run(strings.Fields(line)...)
	if status != 0 {
		t.Fatalf("%s: status %d\n%s", line, status, out)
	}
	return out
}

// TestCommandsOnTheMachine manages a running gateway over Caddy's
// administration endpoint, through reloads.
func TestCommandsOnTheMachine(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			g, address := startAdministered(t, network)
			at := " --address " + address
			secret := strings.TrimSpace(command(t, "robot create stored+ci --allow pull:stored/** --quiet"+at))
			if _, err := authn.ParseSecret(secret); err != nil {
				t.Fatalf("%q: %v", secret, err)
			}
			if got := g.do("GET", "/v2/stored/app/manifests/v1", "", basic("robot$stored+ci", secret)).StatusCode; got != 200 {
				t.Errorf("the robot: %d", got)
			}
			g.administer(address, administered+"\n explain_denials\n") // a reload
			if out := command(t, "robot show stored+ci"+at); !strings.Contains(out, "pull:stored/**") || !strings.Contains(out, "local:admin") {
				t.Error(out)
			}
			command(t, "role set claim:iss=https://sso.example.com//x guest"+at)
			command(t, "role remove claim:iss=https://sso.example.com//x"+at)
			command(t, "owner transfer stored/app robot:stored+ci"+at)
			command(t, "keys rotate"+at)
			command(t, "robot disable stored+ci"+at)
			if got := g.do("GET", "/v2/stored/app/manifests/v1", "", basic("robot$stored+ci", secret)).StatusCode; got != 401 {
				t.Errorf("the robot that is disabled: %d", got)
			}
			if out := command(t, "audit --action robot. "+at); !strings.Contains(out, "robot.update") {
				t.Error(out)
			}
			for line, want := range map[string]int{
				"robot show nobody" + at:                  1,
				"robot list --realm nobody" + at:          1,
				"robot list --frob" + at:                  2,
				"robot show" + at:                         2,
				"robot list --address localhost:1":        3,
				"import nowhere.yaml" + at:                2,
				"robot list --realm default" + at:         0,
				"robot list --key-file /dev/null" + at:    2,
				"robot create stored+ci --allow x:y" + at: 2,
			} {
				if out, status := run(strings.Fields(line)...); status != want {
					t.Errorf("%s: status %d, want %d: %s", line, status, want, out)
				}
			}
		})
	}
}

// TestBootstrapOnTheMachine: whoever has the machine needs no secret, and may
// start over.
func TestBootstrapOnTheMachine(t *testing.T) {
	g, address := startAdministered(t, "unix")
	at := " --address " + address
	if out, status := run(strings.Fields("bootstrap" + at)...); status != 1 || !strings.Contains(out, "there is an administrator's key in the configuration") {
		t.Errorf("%d %s", status, out)
	}
	g.administer(address, standardRealm+"\n management\n")
	first := strings.TrimSpace(command(t, "bootstrap --quiet"+at))
	if got := g.do("GET", "/auth/api/v1/keys", "", bearer(first)).StatusCode; got != 200 {
		t.Errorf("the first key: %d", got)
	}
	if out, status := run(strings.Fields("bootstrap" + at)...); status != 1 {
		t.Errorf("again: %d %s", status, out)
	}
	command(t, "bootstrap --reset"+at)
	if second := strings.TrimSpace(command(t, "bootstrap --quiet"+at)); second == first {
		t.Error("the same key again")
	}
}

// TestCommandsFromElsewhere manages it with a key.
func TestCommandsFromElsewhere(t *testing.T) {
	g := startManaged(t, "")
	t.Setenv("REGISTRY_AUTH_KEY", adminKey)
	t.Setenv("REGISTRY_AUTH_ADDRESS", g.url)
	if out := command(t, "whoami"); !strings.Contains(out, "Administrator:  true") {
		t.Error(out)
	}
	command(t, "project create stored")
	if out := command(t, "export"); !strings.Contains(out, "stored/**") {
		t.Error(out)
	}
	if out, status := run("bootstrap", "--reset"); status != 2 {
		t.Errorf("%d %s", status, out)
	}
	if got := g.do("POST", "/auth/api/v1/bootstrap/reset", "", bearer(adminKey)).StatusCode; got != 404 {
		t.Errorf("reset by a key: %d", got)
	}
}

// TestAdminEndpoint: what is not a realm's API is not there, and pages of other
// sites are refused.
func TestAdminEndpoint(t *testing.T) {
	_, address := startAdministered(t, "tcp")
	base := "http://" + address + "/registry-auth/"
	ask := func(method, url, origin string) (int, string) {
		var body io.Reader
		if method == http.MethodPost {
			body = strings.NewReader(`{"name":"evil"}`)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, url, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	for _, test := range []struct {
		method, path, origin string
		want                 int
	}{
		{"GET", "", "", 200},
		{"POST", "", "", 405},
		{"GET", "default/health", "", 200},
		{"GET", "other/health", "", 404},
		{"GET", "/health", "", 404},
		{"GET", "default/nothing", "", 404},
		{"POST", "default/robots", "https://evil.example.com", 403},
		{"POST", "default/robots", "http://" + address, 201},
	} {
		if got, body := ask(test.method, base+test.path, test.origin); got != test.want {
			t.Errorf("%s %q from %q: %d, want %d: %s", test.method, test.path, test.origin, got, test.want, body)
		}
	}
	if _, body := ask("GET", base, ""); body != "{\"realms\":[\"default\"]}\n" {
		t.Error(body)
	}
}
