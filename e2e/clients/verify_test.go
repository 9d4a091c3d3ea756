package clients

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// TestRegistriesVerifyOurTokens lets the registry behind the gateway check the
// gateway's tokens itself.
func TestRegistriesVerifyOurTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		kind  upstream.Kind
		token string // lines of the token block
		jwks  bool   // the registry trusts a key set, else certificates
	}{
		{"2.8.2, certificates, ES256 with x5c", upstream.Distribution2, "x5c", false},
		{"2.8.2, certificates, RS256 with x5c", upstream.Distribution2, "algorithm RS256\nx5c", false},
		{"2.8.2, certificates, ES256 with libtrust key id", upstream.Distribution2, "key_id libtrust", false},
		{"3, certificates, ES256 with x5c", upstream.Distribution3, "x5c", false},
		{"3, certificates, ES256 with thumbprint", upstream.Distribution3, "", false},
		{"3, key set, ES256 with thumbprint", upstream.Distribution3, "", true},
		{"3, key set, EdDSA with thumbprint", upstream.Distribution3, "algorithm EdDSA", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			process.Need(t, c.kind.Program, "curl")
			s, err := stage.Start(t.Context(), stage.Options{Kind: c.kind, Record: true, Token: c.token, UpstreamAuth: "passthrough"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Stop() })
			registry := startVerifyingRegistry(t, s, c.kind, c.jwks)
			if err := s.Recorder.Retarget(registry.URL); err != nil {
				t.Fatal(err)
			}
			pushAndPullWithToken(t, s, registry.URL)
		})
	}
}

// startVerifyingRegistry starts a registry that trusts the gateway's keys.
func startVerifyingRegistry(t *testing.T, s *stage.Stage, kind upstream.Kind, keySet bool) *upstream.Registry {
	t.Helper()
	token, err := s.Token(t.Context(), "robot-ci")
	if err != nil {
		t.Fatal(err)
	}
	parts, err := jose.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	issuer, ok := parts.Claims["iss"].(string)
	if !ok {
		t.Fatalf("the token's issuer is %v", parts.Claims["iss"])
	}
	return startRegistry(t, s, kind, &upstream.TokenAuth{Realm: s.URL + stage.TokenPath, Service: stage.Service, Issuer: issuer}, keySet)
}

// startRegistry starts a registry with the gateway's keys in a file.
func startRegistry(t *testing.T, s *stage.Stage, kind upstream.Kind, auth *upstream.TokenAuth, keySet bool) *upstream.Registry {
	t.Helper()
	dir := t.TempDir()
	if keySet {
		auth.JWKS = filepath.Join(dir, "jwks.json")
		if err := os.WriteFile(auth.JWKS, published(t, s, "/v2/token/jwks"), 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		auth.RootCertBundle = filepath.Join(dir, "bundle.pem")
		if err := os.WriteFile(auth.RootCertBundle, published(t, s, "/v2/token/certificates"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	registry, err := upstream.Start(t.Context(), kind, dir, upstream.Options{Token: auth})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Stop() })
	return registry
}

// published fetches what the gateway publishes of its keys.
func published(t *testing.T, s *stage.Stage, path string) []byte {
	t.Helper()
	out, err := newShell(t, s).run("curl", "-sSf", s.URL+path)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(out)
}

func pushAndPullWithToken(t *testing.T, s *stage.Stage, registry string) {
	t.Helper()
	token, err := s.Token(t.Context(), "robot-ci", "repository:team/verified:pull,push")
	if err != nil {
		t.Fatal(err)
	}
	image, err := upstream.NewImage("content.txt", []byte(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{s.URL, registry} { // through the gateway, and past it
		client := &upstream.Client{URL: url, Authorization: "Bearer " + token}
		if err := client.Push(t.Context(), "team/verified", "x", image); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Pull(t.Context(), "team/verified", "x"); err != nil {
			t.Error(err)
		}
	}
	// It does check: other repositories, changed tokens and none are refused.
	for what, authorization := range map[string]string{
		"another repository's token": "Bearer " + token,
		"a broken token":             "Bearer " + token[:len(token)-4],
		"no token":                   "",
	} {
		client := &upstream.Client{URL: registry, Authorization: authorization}
		if _, err := client.OpenUpload(t.Context(), "team/elsewhere"); err == nil {
			t.Errorf("the registry takes %s", what)
		}
	}
	res, err := http.Get(registry + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the registry answers %s without a token", res.Status)
	}
}
