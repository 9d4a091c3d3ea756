package registryauth_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestProviderInCaddysHandler uses the provider as JSON configurations do.
// Caddy's handler has one refusal, 401.
func TestProviderInCaddysHandler(t *testing.T) {
	g := startGateway(t, standardRealm)
	ui := freeAddress(t)
	site := g.caddyfile(strings.ReplaceAll(standardRealm, "HASH", g.hash)) +
		fmt.Sprintf("http://%s {\nregistry_identity {\nread anyone\nwrite robot:ci\nadmin_path /admin/*\n}\nrespond \"{http.auth.user.kind} {http.auth.user.id}\"\n}\n", ui)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(site), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	const settings = `"write":["robot:ci"]`
	text := strings.Replace(string(adapted), `"handler":"registry_identity",`, "", 1)
	before, rest, found := strings.Cut(text, `{"admin_paths"`)
	inside, after, _ := strings.Cut(rest, settings+"}")
	if !found || after == "" {
		t.Fatalf("adapted %s", adapted)
	}
	text = before + `{"handler":"authentication","providers":{"registry_auth":{"admin_paths"` + inside + settings + "}}}" + after
	if err := caddy.Load([]byte(text), true); err != nil {
		t.Fatal(err)
	}
	g.client.CloseIdleConnections()
	g.url = "http://" + ui
	robot := basic("robot-ci", g.robot)
	for _, test := range []struct {
		method, path string
		options      []option
		status       int
		body         string
	}{
		{"GET", "/", nil, 200, "anonymous "},
		{"GET", "/", []option{robot}, 200, "robot ci"},
		{"POST", "/", []option{robot}, 200, "robot ci"},
		{"POST", "/", nil, 401, ""},
		{"GET", "/", []option{basic("robot-ci", "wrong")}, 401, ""},
		{"GET", "/admin/x", []option{robot}, 401, ""},
		{"GET", "/a/..;/admin/x", []option{robot}, 401, ""},
	} {
		if a := g.do(test.method, test.path, "", test.options...); a.StatusCode != test.status || a.body != test.body {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, a.StatusCode, a.body, test.status, test.body)
		}
	}
}

// TestLimitedTokensOnRoutes: an access token that was made for a part of what its
// owner may do is not the owner beside the registry API.
func TestLimitedTokensOnRoutes(t *testing.T) {
	const password = "the-password-of-the-local-alice"
	t.Setenv("TEST_ADMIN_KEY", adminKey)
	g := startGateway(t, standardRealm)
	ui := freeAddress(t)
	realm := strings.ReplaceAll(strings.ReplaceAll(managedRealm, "HASH", g.hash), "immutable_nothing", "local {\nuser alice `$argon2id$v=19$m=19456,t=2,p=1$L5ZwZHCxNdm2A3uNQUDL7A$HxcYpga6GJeZhuX9HGPNpQnP4BdoEHPQ/0pslXy9nY4`\n}")
	if err := loadCaddyfile(t, g.caddyfile(realm)+fmt.Sprintf("http://%s {\nregistry_identity {\nwrite user:alice\n}\nrespond {http.auth.user.id}\n}\n", ui)); err != nil {
		t.Fatal(err)
	}
	g.client.CloseIdleConnections()
	alice := basic("alice", password)
	token := func(more string) option {
		t.Helper()
		a := g.do("POST", "/auth/api/v1/tokens", `{"name":"t`+more+`}`, alice, header("Content-Type", "application/json"))
		if a.StatusCode != 201 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		_, secret, _ := strings.Cut(a.body, `"secret":"`)
		secret, _, _ = strings.Cut(secret, `"`)
		return basic("alice", secret)
	}
	whole := token(`1"`)
	part := token(`2","permissions":[{"name":"team/**","actions":["pull"]}]`)
	none := token(`3","permissions":[]`)
	g.url = "http://" + ui
	for name, c := range map[string]struct {
		who  option
		want int
	}{"password": {alice, 200}, "whole": {whole, 200}, "part": {part, 403}, "none": {none, 403}} {
		if got := g.do("POST", "/", "", c.who).StatusCode; got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
