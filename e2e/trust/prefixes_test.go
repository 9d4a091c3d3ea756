package trust

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// provider is an identity provider whose people may call themselves anything.
func provider(t *testing.T) *idp.Hostile {
	t.Helper()
	p, err := idp.StartHostile()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

const prefixedSite = `http://ADDR {
	registry_auth {
		public_url URL
		PROVIDERS
		project team/** {
			developer user:second-alice group:second-team role:second-lead user:alice user:mallory
		}
	}
	reverse_proxy UPSTREAM
}`

func prefixed(providers ...string) string {
	return strings.Replace(prefixedSite, "PROVIDERS", strings.Join(providers, "\n\t\t"), 1)
}

// TestPrefixesWithinPrefixesAreRefused: whose eu/alice is corp/eu/alice?
func TestPrefixesWithinPrefixesAreRefused(t *testing.T) {
	one, other, third := provider(t), provider(t), provider(t)
	oidc := func(p *idp.Hostile, prefix string) string {
		block := "oidc " + p.Issuer + " registry {\n\t\t\troles roles\n"
		if prefix != "" {
			block += "\t\t\tprefix " + prefix + "\n"
		}
		return block + "\t\t}"
	}
	s := start(t, prefixed(oidc(one, ""), oidc(other, "second-")), nil)
	for name, providers := range map[string][]string{
		"nested":          {oidc(one, "corp/"), oidc(other, "corp/eu/")},
		"the other order": {oidc(other, "corp/eu/"), oidc(one, "corp/")},
		"a third beside":  {oidc(third, ""), oidc(one, "corp/"), oidc(other, "corp/eu/")},
	} {
		config := s.config
		config.Sites = s.expand(prefixed(providers...))
		err := s.Reload(t.Context(), config)
		if err == nil {
			t.Errorf("%s: the gateway takes it", name)
			continue
		}
		for _, want := range []string{one.Issuer, other.Issuer, "corp/", "corp/eu/"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the message does not name %s: %v", name, want, err)
			}
		}
	}
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	fresh := scene{Addr: fmt.Sprintf("127.0.0.1:%d", port), URL: fmt.Sprintf("http://127.0.0.1:%d", port), Upstream: s.Upstream}
	g, err := gateway.Start(t.Context(), gateway.Config{Sites: fresh.expand(prefixed(oidc(one, "corp/"), oidc(other, "corp/eu/"))), ReadyURL: fresh.URL + "/v2/"})
	if err == nil {
		_ = g.Stop()
		t.Error("a gateway starts with it")
	} else if !strings.Contains(err.Error(), one.Issuer) || !strings.Contains(err.Error(), other.Issuer) {
		t.Errorf("the message does not name both: %v", err)
	}
	for _, providers := range [][]string{
		{oidc(one, "corp/"), oidc(other, "eu/")},
		{oidc(one, "corp/"), oidc(other, "")},
		{oidc(one, "corp/"), oidc(other, ""), oidc(third, "eu/")},
		{oidc(one, "corp/")},
	} {
		s.reload(prefixed(providers...))
	}
}

// TestNobodyHasNamesOfAnotherProvider: the people of a provider without a
// prefix are nobody's of one with a prefix, by whatever door they come.
func TestNobodyHasNamesOfAnotherProvider(t *testing.T) {
	plain, second := provider(t), provider(t)
	s := start(t, prefixed(
		"oidc "+plain.Issuer+" registry {\n\t\t\troles roles\n\t\t\tclient_secret secret\n\t\t}",
		"oidc "+second.Issuer+" registry {\n\t\t\troles roles\n\t\t\tprefix second-\n\t\t}",
	), nil)
	const manifest = "/v2/team/app/manifests/v1"
	for name, test := range map[string]struct {
		of     *idp.Hostile
		claims jose.Object
		status int
	}{
		"alice":                  {plain, plain.Claims("alice", "registry"), 200},
		"alice of the other one": {second, second.Claims("alice", "registry"), 200},
		"a group of the other":   {second, second.Claims("bob", "registry", "team"), 200},
		"the other one's name":   {plain, plain.Claims("second-alice", "registry"), 401},
		"the other one's group":  {plain, plain.Claims("mallory", "registry", "second-team"), 401},
		"the other one's role":   {plain, plain.Claims("mallory", "registry").With("roles", []string{"second-lead"}), 401},
	} {
		t.Run(name, func(t *testing.T) {
			scene := *s
			scene.t = t
			token, err := test.of.Sign(test.claims)
			if err != nil {
				t.Fatal(err)
			}
			scene.wants(test.status, "GET", manifest, "", bearer(token))
			scene.wants(test.status, "GET", manifest, "", basic("any", token))
			scene.wants(test.status, "GET", "/v2/token?scope=repository:team/app:pull", "", basic("any", token))
			if test.of != plain {
				return
			}
			cookie := signIn(t, s, plain, test.claims)
			if (cookie != "") != (test.status == 200) {
				t.Errorf("signed in: %v", cookie != "")
			}
			if cookie != "" {
				scene.wants(200, "GET", manifest, "", "Cookie: "+cookie)
			}
		})
	}
}

// TestANewPrefixEndsWhatLooksLikeIt: a sign-in that was good ends as soon as
// its name could be one of another provider.
func TestANewPrefixEndsWhatLooksLikeIt(t *testing.T) {
	plain, second := provider(t), provider(t)
	first := "oidc " + plain.Issuer + " registry {\n\t\t\tclient_secret secret\n\t\t}"
	s := start(t, prefixed(first), nil)
	const manifest = "/v2/team/app/manifests/v1"
	claims := plain.Claims("second-alice", "registry")
	cookie := signIn(t, s, plain, claims)
	token, err := plain.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	answer := s.wants(200, "GET", "/v2/token?scope=repository:team/app:pull", "", basic("any", token))
	_, rest, _ := strings.Cut(answer, `"token":"`)
	registryToken, _, _ := strings.Cut(rest, `"`)
	s.wants(200, "GET", manifest, "", "Cookie: "+cookie)
	s.wants(200, "GET", manifest, "", bearer(registryToken))
	s.reload(prefixed(first, "oidc "+second.Issuer+" registry {\n\t\t\tprefix second-\n\t\t}"))
	s.wants(401, "GET", manifest, "", "Cookie: "+cookie)
	s.wants(401, "GET", manifest, "", bearer(registryToken))
}

// signIn signs somebody in with a browser and returns the cookie of the
// session, empty if the gateway refuses.
func signIn(t *testing.T, s *scene, at *idp.Hostile, claims jose.Object) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), at.Issuer) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	get := func(address string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Mode", "navigate")
		req.Header.Set("Sec-Fetch-Dest", "document")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	res := get(s.URL + "/auth/sign-in?return_to=/auth/")
	address, err := res.Location()
	if err != nil {
		t.Fatalf("not sent to the provider: %s", res.Status)
	}
	code, err := at.Authorize(address.String(), claims)
	if err != nil {
		t.Fatal(err)
	}
	asked := address.Query()
	get(asked.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {asked.Get("state")}, "iss": {at.Issuer}}.Encode())
	home, _ := url.Parse(s.URL + "/v2/")
	for _, c := range jar.Cookies(home) {
		if strings.Contains(c.Name, "session") {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}
