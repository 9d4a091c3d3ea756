package clients

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

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
