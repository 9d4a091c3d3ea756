package clients

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// behindSite has the identity provider behind the same Caddy.
const behindSite = `
http://:PORT {
	bind 127.0.0.1
	registry_auth {
		public_url URL
		oidc ISSUER {
			client_id web
			client_secret {env.WEB_SECRET}
			scopes openid profile groups
		}
		project team/** {
			maintainer group:team-maintainers
			robot ci {
				secret_hash {env.CI_HASH}
				allow pull push
			}
		}
		other_paths deny
	}
	reverse_proxy REGISTRY
}
ISSUER {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:IDP
}
`

// TestProviderBehindTheSameCaddy starts Caddy while the provider behind it is
// down: robots work, and people sign in as soon as it is there.
func TestProviderBehindTheSameCaddy(t *testing.T) {
	process.Need(t, "node", "npm", "docker-registry")
	var ports [3]int
	for i := range ports {
		var err error
		if ports[i], err = process.FreePort(); err != nil {
			t.Fatal(err)
		}
	}
	url, issuer := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	registry, err := upstream.Start(t.Context(), upstream.Distribution2, filepath.Join(t.TempDir(), "registry"), upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Stop() })
	secret, stored := stage.NewSecret()
	config := gateway.Config{
		Sites: strings.NewReplacer("PORT", fmt.Sprint(ports[0]), "URL", url, "ISSUER", issuer, "IDP", fmt.Sprint(ports[2]), "REGISTRY", registry.URL).Replace(behindSite),
		Env:   []string{"WEB_SECRET=web-secret", "CI_HASH=" + stored}, ReadyURL: url + "/v2/",
	}
	g, err := gateway.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Stop() })

	robot := func() int { return status(t, url+"/v2/team/app/tags/list", secret) }
	if got := robot(); got != 404 { // the registry's own: there is nothing yet
		t.Errorf("a robot while the provider is down: %d", got)
	}
	person, err := idp.NewPerson(url)
	if err != nil {
		t.Fatal(err)
	}
	if page, err := person.Open(t.Context(), "/auth/"); err != nil || !strings.Contains(page, "does not answer") {
		t.Errorf("signing in while the provider is down: %v: %.300s", err, page)
	}
	provider, err := idp.StartCertifiedBehind(t.Context(), t.TempDir(), url, issuer, ports[2])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Stop() })
	reads := func() bool {
		text, err := person.Open(t.Context(), "/v2/team/app/tags/list")
		return err == nil && strings.Contains(text, "NAME_UNKNOWN")
	}
	eventually(t, "alice is signed in", func() bool { return person.SignInAgain(t.Context(), "alice") == nil && reads() })

	// It goes on through a reload, a restart, and without the provider.
	if err := provider.Stop(); err != nil {
		t.Log(err)
	}
	config.Sites += "# changed\n"
	if err := g.Reload(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if !reads() || robot() != 404 {
		t.Error("ended with a reload")
	}
	g.Kill()
	if err := g.Restart(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if !reads() || robot() != 404 {
		t.Error("ended with a restart")
	}
}
