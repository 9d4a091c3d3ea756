package registryauth_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestSitesOfOneRealm has the token endpoint on a site of its own and protects
// a user interface with the same identities.
func TestSitesOfOneRealm(t *testing.T) {
	g := startGateway(t, standardRealm)
	auth, ui := freeAddress(t), freeAddress(t)
	realm := strings.ReplaceAll(standardRealm, "HASH", g.hash)
	realm = "realm main\n" + strings.Replace(realm, "token {", "token {\nurl http://"+auth+"/v2/token", 1)
	sites := g.caddyfile(realm) + fmt.Sprintf("http://%s {\nregistry_token main\nrespond nothing 404\n}\nhttp://%s {\nregistry_identity main\nrespond {http.auth.user.kind}:{http.auth.user.id}\n}\n", auth, ui)
	if err := loadCaddyfile(t, sites); err != nil {
		t.Fatal(err)
	}
	g.client.CloseIdleConnections()
	if a := g.do("GET", "/v2/", ""); !strings.Contains(a.Header.Get("WWW-Authenticate"), `realm="http://`+auth+`/v2/token"`) {
		t.Errorf("challenge %s", a.Header.Get("WWW-Authenticate"))
	}
	registry := g.url
	g.url = "http://" + auth
	token := g.token("repository:team/app:pull", basic("robot$ci", g.robot))
	if a := g.do("GET", "/other", ""); a.StatusCode != 404 {
		t.Errorf("other path of the token site: %d", a.StatusCode)
	}
	keys := g.do("GET", "/v2/token/jwks", "")
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(keys.body), &set); err != nil || len(set.Keys) == 0 || set.Keys[0]["d"] != "" {
		t.Errorf("keys: %v %s", err, keys.body)
	}
	if a := g.do("GET", "/v2/token/certificates", ""); !strings.HasPrefix(a.body, "-----BEGIN CERTIFICATE-----") {
		t.Errorf("certificates: %s", a.body)
	}
	g.url = registry
	if a := g.do("GET", manifest, "", bearer(token)); a.StatusCode != 200 {
		t.Errorf("token of the other site: %d", a.StatusCode)
	}
	g.url = "http://" + ui
	if a := g.do("GET", "/", "", basic("robot-ci", g.robot)); a.StatusCode != 200 || a.body != "robot:ci" {
		t.Errorf("identity: %d %s", a.StatusCode, a.body)
	}
	for name, options := range map[string][]option{"none": nil, "wrong": {basic("robot-ci", "x")}, "registry token": {bearer(token)}} {
		if a := g.do("GET", "/", "", options...); a.StatusCode != 401 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
}

func TestReferenceToUnknownRealm(t *testing.T) {
	g := startGateway(t, standardRealm)
	text := g.caddyfile(strings.ReplaceAll(standardRealm, "HASH", g.hash)) + "http://" + freeAddress(t) + " {\nregistry_token nosuch\n}\n"
	if err := loadCaddyfile(t, text); err == nil || !strings.Contains(err.Error(), `"nosuch"`) {
		t.Errorf("loaded: %v", err)
	}
}

func TestIssuerOfOurTokensIsOurs(t *testing.T) {
	g := startGateway(t, standardRealm)
	err := g.tryLoad(standardRealm + "oidc http://127.0.0.1:1 registry\n")
	if err != nil {
		t.Errorf("a provider: %v", err)
	}
	err = g.tryLoad(strings.Replace(standardRealm, "token {", "token {\nissuer http://127.0.0.1:1", 1) + "oidc http://127.0.0.1:1 registry\n")
	if err == nil || !strings.Contains(err.Error(), "issuer of their own") {
		t.Errorf("the provider's issuer for our tokens: %v", err)
	}
}

// TestNamesAreNotExpanded: what looks like a placeholder in a request stays
// what it is.
func TestNamesAreNotExpanded(t *testing.T) {
	t.Setenv("CANARY", "secret-canary")
	g := startGateway(t, standardRealm+"explain_denials\n")
	for _, a := range []answer{
		g.do("GET", manifest, "", basic("{env.CANARY}", "x")),
		g.do("GET", "/v2/token?service=registry.test&account={env.CANARY}&scope="+url.QueryEscape("repository:{env.CANARY}:pull"), ""),
		g.do("GET", "/v2/%7Benv.CANARY%7D/manifests/v1", ""),
	} {
		if strings.Contains(a.body, "canary") || strings.Contains(fmt.Sprint(a.Header), "canary") {
			t.Errorf("expanded: %v %s", a.Header, a.body)
		}
	}
	for _, line := range append(g.logLines("registry access"), g.logLines("registry token")...) {
		if strings.Contains(fmt.Sprint(line), "secret-canary") {
			t.Errorf("expanded in the log: %v", line)
		}
	}
}

func TestRegisteredModules(t *testing.T) {
	for _, id := range []string{
		"registry_auth", "http.handlers.registry_auth", "http.handlers.registry_token", "http.matchers.registry",
		"http.authentication.providers.registry_auth", "registry_auth.authenticators.oidc", "registry_auth.authenticators." + authn.RobotsName,
		"registry_auth.stores.bolt", "registry_auth.stores.postgres",
	} {
		if _, err := caddy.GetModule(id); err != nil {
			t.Error(err)
		}
	}
}
