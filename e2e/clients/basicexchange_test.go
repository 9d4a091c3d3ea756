package clients

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// exchangeRealm takes the credentials of the provider's clients, and people's
// passwords. The provider is not that of the stage's oidc block.
const exchangeRealm = `
		basic_exchange ISSUER {
			client_credentials
			insecure_password_grant gateway {env.GATEWAY_SECRET}
			scope registry
			audience registry-api
			prefix idp-
			cache 20s
		}
		project dir/** {
			maintainer group:idp-team-maintainers
			guest workload:idp-scanner
		}
		project people/** {
			guest user:idp-bob
		}`

// TestBasicExchange has clients and people of a certified provider push and
// pull with their names and passwords.
func TestBasicExchange(t *testing.T) {
	process.Need(t, "docker-registry", "node", "npm", "skopeo")
	e := needEngines(t)
	provider, err := idp.StartCertified(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Stop() })
	s, err := stage.Start(t.Context(), stage.Options{
		Record: true, Realm: strings.ReplaceAll(exchangeRealm, "ISSUER", provider.Issuer),
		Env: []string{"GATEWAY_SECRET=" + idp.ServiceSecret("gateway")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	builder, scanner := idp.ServiceSecret("builder"), idp.ServiceSecret("scanner")

	for name, client := range map[string]tool{
		"docker": &docker{newShell(t, s, "DOCKER_HOST="+e.DockerHost())},
		"skopeo": &skopeo{newShell(t, s)},
	} {
		p := &player{T: t, stage: s, client: client, name: name}
		repository := "dir/" + name
		p.refused("login with a wrong secret", client.Login("builder", "wrong", ""))
		p.must("login", client.Login("builder", builder, ""))
		content := p.makeAndPush(repository)
		p.sameUpstream(repository, content)
		p.must("login as scanner", client.Login("scanner", scanner, ""))
		p.pull(repository)
		p.refused("push without the right to", client.Push(repository, firstTag))
	}

	huge := strings.Repeat("x", 9000)
	for _, c := range []struct {
		what, user, password, path string
		want                       int
	}{
		{"a client", "scanner", scanner, "/v2/dir/docker/tags/list", 200},
		{"a person", "alice", "alice-pw", "/v2/dir/docker/tags/list", 200},
		{"a person by name", "bob", "bob-pw", "/v2/people/app/tags/list", 404},
		{"a person elsewhere", "bob", "bob-pw", "/v2/dir/docker/tags/list", 403},
		{"a wrong secret", "scanner", builder, "/v2/", 401},
		{"a wrong password", "alice", "bob-pw", "/v2/", 401},
		{"an empty password", "alice", "", "/v2/", 401},
		{"a client that may not do this", "registry", "x", "/v2/", 401},
		{"unknown", "nobody", "nobody-pw", "/v2/", 401},
		{"a parameter for a secret", "scanner", "x&client_secret=" + scanner, "/v2/", 401},
		{"huge secret", "scanner", huge, "/v2/", 401},
		{"huge name", huge, scanner, "/v2/", 400},
		{"a robot of the same realm", "robot-ci", s.Robots["ci"].Secret, "/v2/", 200},
		{"a robot with a chosen password", "robot-longpw", stage.LongPassword, "/v2/", 200},
	} {
		if got := basicStatus(t, s.URL+c.path, c.user, c.password); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
	log := strings.Join(s.Gateway.Log.Since(0), "\n")
	if !strings.Contains(log, "refused by the provider") || strings.Contains(log, "builder-secret") || strings.Contains(log, "gateway-secret") {
		t.Error("the log does not say why somebody is refused, or has a secret")
	}
}
