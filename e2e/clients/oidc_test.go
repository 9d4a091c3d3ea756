package clients

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// TestCertifiedProvider signs people in at a real OpenID provider and uses
// their ID tokens: as the password of docker login, and as bearer tokens.
func TestCertifiedProvider(t *testing.T) {
	process.Need(t, "docker-registry", "node", "npm", "curl")
	e := needEngines(t)
	provider, err := idp.StartCertified(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Stop() })
	s, err := stage.Start(t.Context(), stage.Options{Record: true, Issuer: provider.Issuer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	token, err := provider.Login(t.Context(), "registry", "alice")
	if err != nil {
		t.Fatal(err)
	}

	t.Run("docker", func(t *testing.T) {
		client := &docker{newShell(t, s, "DOCKER_HOST="+e.DockerHost())}
		p := &player{T: t, stage: s, client: client, name: "oidc"}
		p.must("docker login with an ID token", client.Login("alice", token, ""))
		content := p.makeAndPush("team/oidc/app")
		p.sameUpstream("team/oidc/app", content)
		p.pull("team/oidc/app")
		p.refused("docker login with a changed ID token", client.Login("alice", token[:len(token)-6]+"AAAAAA", ""))
	})
	t.Run("bearer", func(t *testing.T) {
		bob, err := provider.Login(t.Context(), "registry", "bob")
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := provider.Login(t.Context(), "other", "alice")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			who, token, path string
			want             int
		}{
			{"alice", token, "/v2/", 200},
			{"alice", token, "/v2/team/app/tags/list", 200},
			{"alice", token, "/token?service=" + stage.Service, 200},
			{"bob", bob, "/v2/team/app/tags/list", 200},
			{"bob", bob, "/v2/team/secret/tags/list", 403},
			{"alice at another client", stranger, "/v2/team/app/tags/list", 401},
		} {
			if got := status(t, s.URL+c.path, c.token); got != c.want {
				t.Errorf("%s asks for %s: %d, want %d", c.who, c.path, got, c.want)
			}
		}
	})
}

// TestBrokenProvider starts the gateway while a provider misbehaves: nobody
// else may notice, and once it is repaired its people get in.
func TestBrokenProvider(t *testing.T) {
	process.Need(t, "docker-registry")
	for _, c := range []struct {
		name  string
		fault func(http.ResponseWriter, *http.Request) bool
	}{
		{"away", answerWith(http.StatusServiceUnavailable, "", "away")},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		}},
		{"redirects", func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
			return true
		}},
		{"no JSON", answerWith(http.StatusOK, "text/html", "<html>")},
		{"endless", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"issuer":"`)
			_, _ = io.CopyN(w, zeros{}, 1<<30)
			return true
		}},
		{"another issuer", answerWith(http.StatusOK, "application/json", `{"issuer":"https://evil.example","jwks_uri":"https://evil.example/jwks"}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := stage.Start(t.Context(), stage.Options{Broken: c.fault})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Stop() })
			token, err := s.SecondIdP.Sign(s.SecondIdP.Claims("zoe", stage.Client, "team-maintainers"))
			if err != nil {
				t.Fatal(err)
			}
			before, err := s.Gateway.RSS()
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if got := status(t, s.URL+"/v2/", token); got != http.StatusServiceUnavailable && got != http.StatusUnauthorized {
				t.Errorf("a token that cannot be checked is answered %d", got)
			}
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("that took %s", took)
			}
			for _, login := range []string{"robot-ci", "alice"} {
				if _, err := s.Token(t.Context(), login, "repository:team/app:pull"); err != nil {
					t.Errorf("while another provider is broken: %v", err)
				}
			}
			if after, err := s.Gateway.RSS(); err != nil || after > before+(64<<20) {
				t.Errorf("memory grew from %d to %d bytes, %v", before, after, err)
			}
			s.SecondIdP.Break(nil)
			eventually(t, "the repaired provider's token is accepted", func() bool { return status(t, s.URL+"/v2/", token) == 200 })
		})
	}
}

// TestJWKSIsNotFetchedForEveryBadToken shows tokens of unknown keys to the
// gateway: the provider must not suffer for it.
func TestJWKSIsNotFetchedForEveryBadToken(t *testing.T) {
	process.Need(t, "docker-registry")
	s, err := stage.Start(t.Context(), stage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	claims := s.SecondIdP.Claims("zoe", stage.Client)
	good, err := s.SecondIdP.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a good token is accepted", func() bool { return status(t, s.URL+"/v2/", good) == 200 })
	before := s.SecondIdP.Hits()["/jwks"]
	for range 200 {
		bad, err := s.IdP.Sign(claims.With("jti", rand.Text())) // of another key
		if err != nil {
			t.Fatal(err)
		}
		if got := status(t, s.URL+"/v2/", bad); got != 401 {
			t.Fatalf("a bad token is answered %d", got)
		}
	}
	if fetched := s.SecondIdP.Hits()["/jwks"] - before; fetched > 2 {
		t.Errorf("200 bad tokens caused %d fetches of the key set", fetched)
	}
}

// status asks for url with a bearer token and returns the status.
func status(t *testing.T, url, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(45 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Errorf("not within 45 s: %s", what)
}

func answerWith(status int, contentType, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.Copy(w, strings.NewReader(body))
		return true
	}
}

// zeros is an endless row of the digit.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	copy(b, bytes.Repeat([]byte("0"), len(b)))
	return len(b), nil
}
