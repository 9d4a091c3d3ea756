package portal_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
)

// corp is the provider of a front as most have it.
func (f *front) corp() *authn.OIDC {
	return f.provider(f.T, authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}})
}

// reach makes a browser find named.example at an address.
func (p *person) reach(address string) {
	transport, ok := p.client.Transport.(*http.Transport)
	if !ok {
		p.Fatal("the browser has no transport")
	}
	transport = transport.Clone()
	transport.DialContext = func(ctx context.Context, network, host string) (net.Conn, error) {
		if host == "named.example:443" {
			host = strings.TrimPrefix(address, "https://")
		}
		return new(net.Dialer).DialContext(ctx, network, host)
	}
	transport.TLSClientConfig.ServerName = "example.com" // which the test server has a certificate for
	p.client.Transport = transport
}

// TestTrustedHost signs in by https at a host that is named, with its own
// redirect URI and a cookie that only this host can set.
func TestTrustedHost(t *testing.T) {
	f := newFront(t)
	f.https = true
	f.config.TrustedHosts = []string{"named.example"}
	f.open(t, f.corp())
	stranger := f.browser()
	stranger.refused(stranger.get("/auth/"), http.StatusMisdirectedRequest, "does not know this host name")
	address := f.URL
	f.URL = "https://named.example"
	p := f.browser()
	p.reach(address)
	p.signIn()
	if !slices.ContainsFunc(p.hops, func(hop string) bool { return strings.HasPrefix(hop, f.URL+"/auth/callback?") }) {
		t.Errorf("hops %v", p.hops)
	}
	if asked := f.idp.forms[0].Get("redirect_uri"); asked != f.URL+"/auth/callback" {
		t.Errorf("redirect URI %q", asked)
	}
	var secret string
	for _, c := range p.cookies() {
		if c.Name != "__Host-registry_session" {
			t.Errorf("cookie %s", c.Name)
		}
		secret = c.Value
	}
	// It is none without the prefix, which neighbours could set.
	thief := f.browser()
	thief.reach(address)
	if g := thief.get("/auth/csrf", "Sec-Fetch-Mode", "cors", "Cookie", "registry_session="+secret); g.status != http.StatusUnauthorized {
		t.Errorf("without the prefix: %d", g.status)
	}
	if g := thief.get("/auth/csrf", "Sec-Fetch-Mode", "cors", "Cookie", "__Host-registry_session="+secret); g.status != http.StatusOK {
		t.Errorf("with the prefix: %d", g.status)
	}
}

// TestPrefix has the pages elsewhere.
func TestPrefix(t *testing.T) {
	f := newFront(t)
	f.config = portal.Config{Prefix: "/people/access"}
	f.open(t, f.corp())
	p := f.browser()
	g := p.get("/people/access/")
	if g.status != http.StatusOK || g.path != "/people/access/" || !strings.Contains(g.body, `href="/people/access/tokens"`) || strings.Contains(g.body, "/auth/") {
		t.Errorf("%d at %s\n%s", g.status, g.path, g.body)
	}
	if g := p.get("/people/access"); g.path != "/people/access/" || g.status != http.StatusOK {
		t.Errorf("without the slash: %d at %s", g.status, g.path)
	}
	if asked := f.idp.forms[0].Get("redirect_uri"); asked != f.URL+"/people/access/callback" {
		t.Errorf("redirect URI %q", asked)
	}
	if f.portal.Serves("/auth/") || f.portal.Serves("/people/accessories") || !f.portal.Serves("/people/access/x") {
		t.Error("it serves the wrong paths")
	}
}

// TestRenamed: whoever has another name is the same user, with tokens and
// logins.
func TestRenamed(t *testing.T) {
	f := newFront(t)
	alice := f.browser()
	alice.signIn()
	alice.settled("/auth/tokens", "Shown once", url.Values{"name": {"thinkpad"}, "days": {"7"}})
	f.idp.set(func() { f.idp.person["preferred_username"] = "alice.miller" })
	again := f.browser()
	if g := again.signIn(); !strings.Contains(g.body, "alice.miller") {
		t.Error(g.body)
	}
	if g := again.get("/auth/tokens"); !strings.Contains(g.body, "thinkpad") {
		t.Error("the token is somebody else's")
	}
	// Somebody who gets the old name is somebody else.
	f.idp.set(func() { f.idp.person = object{"sub": "b2", "preferred_username": "alice", "groups": []string{"dev"}} })
	other := f.browser()
	other.signIn()
	if g := other.get("/auth/tokens"); strings.Contains(g.body, "thinkpad") {
		t.Error("the token went with the name")
	}
	n := 0
	for range f.state.Users.All() {
		n++
	}
	if n != 2 {
		t.Errorf("%d users", n)
	}
}

// TestPagesOnAHostOfTheirOwn: people sign in there only, and the lines for
// clients have the registry's name.
func TestPagesOnAHostOfTheirOwn(t *testing.T) {
	f := newFront(t)
	c := authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}}
	f.config.URL = "http://auth.localhost:1"
	f.open(t, f.provider(t, c))
	w := record(f.portal, f.URL+"/auth/sign-in?return_to=/auth/tokens", "Sec-Fetch-Mode", "navigate")
	if to := w.Header().Get("Location"); !strings.HasPrefix(to, "http://auth.localhost:1/auth/sign-in?moved=1") {
		t.Errorf("at the registry's host: %d to %q", w.Code, to)
	}
	w = record(f.portal, "http://auth.localhost:1/auth/sign-in/here", "Sec-Fetch-Mode", "navigate")
	if to, err := url.Parse(w.Header().Get("Location")); err != nil || to.Query().Get("redirect_uri") != "http://auth.localhost:1/auth/callback" {
		t.Errorf("at the pages' host: %d to %q", w.Code, to)
	}
	for _, wrong := range []string{"auth.example.com", "https://auth.example.com/", "http://auth.example.com", "https://a/b", "https://u@a"} {
		if (portal.Config{URL: wrong}).Validate() == nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
}
