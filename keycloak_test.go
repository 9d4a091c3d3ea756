package registryauth_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// Two registries were two clients of one Keycloak realm: on the site where it
// stood, the service says whose tokens are wanted.
func TestSeveralRealmsAtOneKeycloakPath(t *testing.T) {
	g := startGateway(t, standardRealm)
	auth, second := freeAddress(t), freeAddress(t)
	const block = `
	realm NAME
	public_url http://NAME.test
	service NAME
	token {
		keycloak corp
		jwks_path /NAME/jwks
		certificates_path /NAME/certificates
		service_alias NAME-alias
	}
	project team/** {
		robot ci pull push {
			secret_hash HASH
		}
	}
`
	declare := func(name string) string {
		return strings.NewReplacer("NAME", name, "HASH", g.hash).Replace(block)
	}
	sites := g.caddyfile(declare("first")) +
		fmt.Sprintf("http://%s {\nregistry_auth {%s}\nreverse_proxy %s\n}\n", second, declare("second"), g.upstream.URL) +
		fmt.Sprintf("http://%s {\nregistry_token first second\nrespond keycloak\n}\n", auth)
	if err := loadCaddyfile(t, sites); err != nil {
		t.Fatal(err)
	}
	g.client.CloseIdleConnections()
	registry := g.url
	const path = "/realms/corp/protocol/docker-v2/auth"
	for service, at := range map[string]string{"first": registry, "second": "http://" + second, "second-alias": "http://" + second} {
		for _, post := range []bool{false, true} {
			g.url = "http://" + auth
			var a answer
			if post {
				form := url.Values{"grant_type": {"password"}, "service": {service}, "username": {"robot-ci"}, "password": {g.robot}, "scope": {"repository:team/app:pull"}}
				a = g.do("POST", path, form.Encode(), header("Content-Type", "application/x-www-form-urlencoded"))
			} else {
				a = g.do("GET", path+"?scope=repository:team/app:pull&service="+service, "", basic("robot-ci", g.robot))
			}
			_, rest, _ := strings.Cut(a.body, `"token":"`)
			token, _, _ := strings.Cut(rest, `"`)
			g.url = at
			if p := g.do("GET", manifest, "", bearer(token)); p.StatusCode != 200 {
				t.Errorf("%s, POST %t: token %d, pull %d", service, post, a.StatusCode, p.StatusCode)
			}
		}
	}
	g.url = "http://" + auth
	if a := g.do("GET", path+"?service=third", ""); a.StatusCode != 400 || !strings.Contains(a.body, `"invalid_client"`) {
		t.Errorf("unknown service: %d %s", a.StatusCode, a.body)
	}
	for _, path := range []string{"/first/jwks", "/second/certificates"} {
		if a := g.do("GET", path, ""); a.StatusCode != 200 || a.body == "keycloak" {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	if a := g.do("GET", "/realms/corp/account", ""); a.body != "keycloak" {
		t.Errorf("the rest of Keycloak: %d %s", a.StatusCode, a.body)
	}
}
