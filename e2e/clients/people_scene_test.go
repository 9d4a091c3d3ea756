package clients

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// peopleScene is a gateway where people sign in with the browser at a
// certified provider, before a real registry.
type peopleScene struct {
	*testing.T
	addr, url string
	idp       *idp.Certified
	gateway   *gateway.Gateway
}

// peopleSite lets alice work in team. Whether she is still there is asked every
// two seconds.
const peopleSite = `
http://:PORT {
	bind 127.0.0.1
	registry_auth {
		public_url URL
		oidc ISSUER {
			client_id web
			client_secret {env.WEB_SECRET}
			scopes openid profile groups
			recheck 2s
		}
		token {
			refresh_tokens REFRESH
		}
		project team/** {
			maintainer group:team-maintainers
		}
		other_paths deny
	}
	reverse_proxy REGISTRY
}
`

func newPeopleScene(t *testing.T, refreshTokens string) *peopleScene {
	t.Helper()
	process.Need(t, "node", "npm", "docker-registry")
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &peopleScene{T: t, addr: fmt.Sprintf("127.0.0.1:%d", port)}
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
	s.gateway, err = gateway.Start(t.Context(), gateway.Config{
		Sites:    strings.NewReplacer("PORT", fmt.Sprint(port), "URL", s.url, "ISSUER", s.idp.Issuer, "REGISTRY", registry.URL, "REFRESH", refreshTokens).Replace(peopleSite),
		Env:      []string{"WEB_SECRET=web-secret"},
		ReadyURL: s.url + "/v2/",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.gateway.Stop()
		if t.Failed() {
			t.Log(strings.Join(s.gateway.Log.Tail(25), "\n"))
		}
	})
	return s
}

// shell is that of a client of the scene's gateway.
func (s *peopleScene) shell(env ...string) *shell {
	return newShell(s.T, &stage.Stage{Addr: s.addr}, env...)
}

func (s *peopleScene) signIn(user string) *idp.Person {
	s.Helper()
	p, err := idp.SignIn(s.Context(), s.url, user)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// accessToken makes an access token with the page.
func (s *peopleScene) accessToken(p *idp.Person, name string) string {
	s.Helper()
	page, err := p.Send(s.Context(), "/auth/tokens", url.Values{"name": {name}, "days": {"7"}})
	if err != nil {
		s.Fatal(err)
	}
	token := regexp.MustCompile(`crapt_\w+`).FindString(page)
	if token == "" {
		s.Fatalf("no access token on the page: %.400s", page)
	}
	return token
}

// helper builds the credential helper and returns its folder, for PATH.
func helper(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/docker-credential-caddy-registry")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the credential helper: %v\n%s", err, out)
	}
	return dir
}
