package trust

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// withProvider is a site whose people sign in at a provider that also gives
// tokens to another client.
func withProvider(p *idp.Hostile, lines string) string {
	return `http://ADDR {
	registry_auth {
		public_url URL
		oidc ` + p.Issuer + ` registry {
			client_secret    ` + idp.ClientSecret + `
			userinfo         off
			authorized_party cli
			clock_skew       1s
		}
		` + lines + `
		project ** {
			developer authenticated
		}
	}
	reverse_proxy UPSTREAM
}`
}

// signsIn plays a browser's way through the provider, whose ID token has these
// claims, and returns the answer to its return.
func (s *scene) signsIn(p *idp.Hostile, claims jose.Object) *http.Response {
	s.t.Helper()
	begun, body := s.call("GET", "/auth/sign-in?return_to=/auth/", "", "Accept: text/html")
	address := begun.Header.Get("Location")
	code, err := p.Authorize(address, claims)
	if err != nil {
		s.t.Fatalf("%s: %v: %s", begun.Status, err, body)
	}
	var cookies []string
	for _, c := range begun.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	u, err := url.Parse(address)
	if err != nil {
		s.t.Fatal(err)
	}
	back := "/auth/callback?" + url.Values{"code": {code}, "state": {u.Query().Get("state")}}.Encode()
	done, _ := s.call("GET", back, "", "Accept: text/html", "Cookie: "+strings.Join(cookies, "; "))
	return done
}

// TestSignInIsWithATokenOfOurOwn: a client whose ID tokens are accepted by
// themselves cannot have its own put into a browser's sign-in.
func TestSignInIsWithATokenOfOurOwn(t *testing.T) {
	p := provider(t)
	s := start(t, withProvider(p, ""), created)
	claims := func(change jose.Object) jose.Object {
		c := p.Claims("alice", "registry")
		for name, v := range change {
			c = c.With(name, v)
		}
		return c
	}
	for name, x := range map[string]struct {
		change jose.Object
		in     bool
	}{
		"ours":                   {nil, true},
		"ours, and says so":      {jose.Object{"azp": "registry"}, true},
		"of an authorized party": {jose.Object{"azp": "cli"}, false},
		"for another audience":   {jose.Object{"aud": "cli"}, false},
		"of another sign-in":     {jose.Object{"nonce": "another"}, false},
		"expired":                {jose.Object{"iat": time.Now().Unix() - 100, "exp": time.Now().Unix() - 50}, false},
	} {
		done := s.signsIn(p, claims(x.change))
		in := false
		for _, c := range done.Cookies() {
			in = in || strings.Contains(c.Name, "session") && c.Value != "" && c.MaxAge >= 0
		}
		if in != x.in || in != (done.StatusCode < 400) {
			t.Errorf("%s: %s, signed in: %v", name, done.Status, in)
		}
	}
	// The other client's tokens are good by themselves.
	token := idToken(t, p, "alice", func(c jose.Object) { c["azp"] = "cli" })
	s.wants(200, "GET", "/v2/", "", bearer(token))
}

func TestExpiredIDTokensAreRefused(t *testing.T) {
	p := provider(t)
	s := start(t, withProvider(p, ""), created)
	for ago, status := range map[time.Duration]int{-time.Minute: 200, 2 * time.Second: 401, time.Hour: 401} {
		token := idToken(t, p, "alice", func(c jose.Object) {
			c["iat"], c["exp"] = time.Now().Add(-2*time.Hour).Unix(), time.Now().Add(-ago).Unix()
		})
		for how, credential := range map[string]string{"bearer": bearer(token), "password": basic("alice", token)} {
			res, body := s.call("GET", "/v2/", "", credential)
			if res.StatusCode != status {
				t.Errorf("expired %s ago, as %s: %s: %s", ago, how, res.Status, body)
			}
			if res, _ := s.call("GET", "/v2/token?service="+s.Addr+"&scope=repository:team/app:pull", "", credential); res.StatusCode != status {
				t.Errorf("expired %s ago, as %s at the token endpoint: %s", ago, how, res.Status)
			}
		}
	}
	// One that expires while it is remembered.
	token := idToken(t, p, "alice", func(c jose.Object) { c["exp"] = time.Now().Add(2 * time.Second).Unix() })
	s.wants(200, "GET", "/v2/", "", bearer(token))
	time.Sleep(4 * time.Second)
	s.wants(401, "GET", "/v2/", "", bearer(token))
}

// TestRefreshTokensSwitchedOff: there are none to be had, and none to be used.
func TestRefreshTokensSwitchedOff(t *testing.T) {
	p := provider(t)
	on := "token {\n\t\t\trefresh_tokens on\n\t\t}"
	s := start(t, withProvider(p, on), created)
	token := idToken(t, p, "alice", nil)
	form := "Content-Type: application/x-www-form-urlencoded"
	ask := url.Values{
		"grant_type": {"password"}, "username": {"alice"}, "password": {token}, "access_type": {"offline"},
		"service": {s.Addr}, "client_id": {"docker"},
	}.Encode()
	answer := s.wants(200, "POST", "/v2/token", ask, form)
	_, refresh, _ := strings.Cut(answer, `"refresh_token":"`)
	refresh, _, _ = strings.Cut(refresh, `"`)
	if refresh == "" {
		t.Fatal("no refresh token where they are on:", answer)
	}
	use := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "service": {s.Addr}, "client_id": {"docker"}}.Encode()
	s.wants(200, "POST", "/v2/token", use, form)
	s.reload(withProvider(p, strings.Replace(on, "tokens on", "tokens off", 1)))
	if answer := s.wants(200, "POST", "/v2/token", ask, form); strings.Contains(answer, "refresh_token") {
		t.Error("a refresh token although they are off:", answer)
	}
	if res, body := s.call("POST", "/v2/token", use, form); res.StatusCode != 400 && res.StatusCode != 401 {
		t.Errorf("one from before: %s: %s", res.Status, body)
	}
	if res, body := s.call("GET", "/v2/", "", basic("alice", refresh)); res.StatusCode != 401 {
		t.Errorf("as a password: %s: %s", res.Status, body)
	}
}
