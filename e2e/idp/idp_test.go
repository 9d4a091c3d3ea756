package idp_test

import (
	"slices"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

func TestCertifiedProviderIssuesIDTokens(t *testing.T) {
	process.Need(t, "node", "npm")
	provider, err := idp.StartCertified(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Stop() })
	for client, alg := range map[string]string{"registry": "RS256", "registry-es256": "ES256"} {
		token, err := provider.Login(t.Context(), client, "alice")
		if err != nil {
			t.Fatal(err)
		}
		parts, err := jose.Parse(token)
		if err != nil {
			t.Fatal(err)
		}
		if parts.Header["alg"] != alg || parts.Claims["aud"] != client || parts.Claims["preferred_username"] != "alice" {
			t.Errorf("%s: header %v, claims %v", client, parts.Header, parts.Claims)
		}
		groups, ok := parts.Claims["groups"].([]any)
		if !ok || !slices.Contains(groups, any("team-maintainers")) {
			t.Errorf("%s: groups are %v", client, parts.Claims["groups"])
		}
	}
	if err := provider.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Login(t.Context(), "registry", "alice"); err != nil {
		t.Errorf("login after a rotation: %v", err)
	}
	if _, err := provider.Login(t.Context(), "registry", "nobody"); err == nil {
		t.Error("a stranger was let in")
	}
}
