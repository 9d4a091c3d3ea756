package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// scene is a gateway that signs people in itself, before a real registry and
// beside a certified provider.
type scene struct {
	addr, url string
	idp       *idp.Certified
	gateway   *gateway.Gateway
}

// site is what the gateway is configured with. Alice maintains team, admin
// administers everything.
const site = `
http://:PORT {
	bind 127.0.0.1
	registry_auth {
		public_url URL
		oidc ISSUER {
			client_id web
			client_secret {env.WEB_SECRET}
			name "Example Corp"
			scopes openid profile groups
		}
		token {
			refresh_tokens on
		}
		admin group:registry-admins
		project team/** {
			maintainer group:team-maintainers
			guest authenticated
		}
		anonymous_read public/**
		other_paths deny
	}
	reverse_proxy REGISTRY
}
`

func newScene(t *testing.T) *scene {
	t.Helper()
	return newSceneWith(t, site)
}

// newSceneWith is newScene with a site of the test's own.
func newSceneWith(t *testing.T, site string) *scene {
	t.Helper()
	process.Need(t, "chromium", "node", "npm", "docker-registry")
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{addr: fmt.Sprintf("127.0.0.1:%d", port)}
	s.url = "http://" + s.addr
	if s.idp, err = idp.StartCertifiedFor(t.Context(), t.TempDir(), s.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.idp.Stop() })
	registry, err := upstream.Start(t.Context(), upstream.Distribution2, filepath.Join(t.TempDir(), "registry"), upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Stop() })
	config := gateway.Config{
		Sites:    strings.NewReplacer("PORT", fmt.Sprint(port), "URL", s.url, "ISSUER", s.idp.Issuer, "REGISTRY", registry.URL).Replace(site),
		Env:      []string{"WEB_SECRET=web-secret"},
		ReadyURL: s.url + "/v2/",
	}
	if s.gateway, err = gateway.Start(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.gateway.Stop()
		if t.Failed() {
			t.Log(strings.Join(s.gateway.Log.Tail(15), "\n"))
		}
	})
	return s
}

// checker is the program of axe-core, installed the first time.
func checker(t *testing.T) string {
	t.Helper()
	const file = "node_modules/axe-core/axe.min.js"
	if _, err := os.Stat(file); err != nil {
		cmd := exec.CommandContext(t.Context(), "npm", "ci", "--silent", "--no-audit", "--no-fund")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("install the accessibility checker: npm ci: %v\n%s", err, out)
		}
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(program)
}
