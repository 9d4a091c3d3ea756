package trust

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// signInScene is a gateway where people sign in at one of two providers.
type signInScene struct {
	*scene
	own, partner *idp.Hostile
}

func newSignInScene(t *testing.T, public string) *signInScene {
	t.Helper()
	s := &signInScene{}
	for _, p := range []**idp.Hostile{&s.own, &s.partner} {
		var err error
		if *p, err = idp.StartHostile(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = (*p).Close() })
	}
	s.scene = start(t, strings.NewReplacer("OWN", s.own.Issuer, "PARTNER", s.partner.Issuer, "PUBLIC", public).Replace(`http://ADDR {
	registry_auth {
		public_url PUBLIC
		oidc OWN {
			client_id registry
			client_secret {env.CLIENT_SECRET}
		}
		oidc PARTNER {
			client_id registry
			client_secret {env.CLIENT_SECRET}
			prefix partner/
		}
		management {
			api_key test {env.ADMIN_KEY}
		}
		project team/** {
			guest authenticated
		}
		other_paths deny
	}
	reverse_proxy UPSTREAM
}`), nil, "CLIENT_SECRET="+idp.ClientSecret)
	return s
}

// tab is a browser that shows whatever cookies it has.
type tab struct {
	s       *signInScene
	cookies map[string]string
	set     []*http.Cookie // by the last answer
}

func (s *signInScene) tab() *tab { return &tab{s: s, cookies: map[string]string{}} }

func (b *tab) send(method, path, body string, headers ...string) (*http.Response, string) {
	b.s.t.Helper()
	var pairs []string
	for name, value := range b.cookies {
		pairs = append(pairs, name+"="+value)
	}
	headers = append(headers, "Sec-Fetch-Mode: navigate", "Cookie: "+strings.Join(pairs, "; "))
	res, text := b.s.call(method, path, body, headers...)
	b.set = res.Cookies()
	for _, c := range b.set {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
	}
	return res, text
}

// begin goes to a provider and returns the address there.
func (b *tab) begin(at string) string {
	b.s.t.Helper()
	res, text := b.send("GET", at, "")
	if res.StatusCode != http.StatusSeeOther {
		b.s.t.Fatalf("%s: %s: %s", at, res.Status, text)
	}
	return res.Header.Get("Location")
}

// answer is where the provider sends the browser back to, below the gateway.
func (b *tab) answer(p *idp.Hostile, address string, claims jose.Object) string {
	b.s.t.Helper()
	code, err := p.Authorize(address, claims)
	if err != nil {
		b.s.t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		b.s.t.Fatal(err)
	}
	back, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil {
		b.s.t.Fatal(err)
	}
	return back.Path + "?" + url.Values{"code": {code}, "state": {u.Query().Get("state")}}.Encode()
}

// signedIn is a browser that somebody is signed in with.
func (s *signInScene) signedIn(p *idp.Hostile, at, subject, session string) *tab {
	s.t.Helper()
	b := s.tab()
	res, text := b.send("GET", b.answer(p, b.begin(at), p.Claims(subject, "registry").With("sid", session)), "")
	if res.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("sign-in: %s: %s", res.Status, text)
	}
	return b
}

// lasts reports whether the session is good, on the pages and on /v2/.
func (b *tab) lasts() bool {
	b.s.t.Helper()
	page, _ := b.send("GET", "/auth/csrf", "")
	registry, _ := b.send("GET", "/v2/team/app/tags/list", "")
	if (page.StatusCode == http.StatusOK) != (registry.StatusCode == http.StatusOK) {
		b.s.t.Errorf("the pages answer %s and the registry %s", page.Status, registry.Status)
	}
	return page.StatusCode == http.StatusOK
}

const own, partner = "/auth/sign-in/here", "/auth/sign-in/at/partner"

// TestSignInStateIsGoodOnce: whoever copied the browser's cookies and the
// provider's answer cannot use them a second time.
func TestSignInStateIsGoodOnce(t *testing.T) {
	s := newSignInScene(t, "URL")
	b := s.tab()
	address := b.begin(own)
	before := maps.Clone(b.cookies)
	first := b.answer(s.own, address, s.own.Claims("alice", "registry"))
	second := b.answer(s.own, address, s.own.Claims("alice", "registry"))
	if res, text := b.send("GET", first, ""); res.StatusCode != http.StatusSeeOther || !b.lasts() {
		t.Fatal(res.Status, text)
	}
	for _, path := range []string{first, second} {
		thief := &tab{s: s, cookies: maps.Clone(before)}
		if res, _ := thief.send("GET", path, ""); res.StatusCode != http.StatusBadRequest || thief.lasts() {
			t.Errorf("again: %s", res.Status)
		}
	}
	if res, _ := s.tab().send("GET", s.tab().answer(s.own, address, s.own.Claims("alice", "registry")), ""); res.StatusCode != http.StatusBadRequest {
		t.Errorf("in another browser: %s", res.Status)
	}
}

// TestAnswersOfAnotherProvider: an answer is good at the page of the provider
// that was asked, and only if it names no other one.
func TestAnswersOfAnotherProvider(t *testing.T) {
	s := newSignInScene(t, "URL")
	for name, test := range map[string]struct {
		at     string
		from   *idp.Hostile
		claims *idp.Hostile
		change func(string) string
		status int
	}{
		"at the other's page":     {own, s.own, s.own, func(p string) string { return strings.Replace(p, "/callback?", "/callback/partner?", 1) }, 400},
		"at the other's page, 2":  {partner, s.partner, s.partner, func(p string) string { return strings.Replace(p, "/callback/partner?", "/callback?", 1) }, 400},
		"it names another":        {own, s.own, s.own, func(p string) string { return p + "&iss=" + url.QueryEscape(s.partner.Issuer) }, 403},
		"it names none":           {own, s.own, s.own, func(p string) string { return p + "&iss=" }, 403},
		"it names two":            {own, s.own, s.own, func(p string) string { return p + "&iss=" + url.QueryEscape(s.own.Issuer) + "&iss=" }, 400},
		"the token is another's":  {own, s.own, s.partner, func(p string) string { return p }, 403},
		"the code is another's":   {own, s.partner, s.partner, func(p string) string { return p }, 403},
		"it names itself":         {own, s.own, s.own, func(p string) string { return p + "&iss=" + url.QueryEscape(s.own.Issuer) }, 303},
		"the partner's, as it is": {partner, s.partner, s.partner, func(p string) string { return p }, 303},
	} {
		t.Run(name, func(t *testing.T) {
			b := s.tab()
			path := test.change(b.answer(test.from, b.begin(test.at), test.claims.Claims("alice", "registry")))
			if res, text := b.send("GET", path, ""); res.StatusCode != test.status || b.lasts() != (test.status == http.StatusSeeOther) {
				t.Errorf("%s, want %d: %s", res.Status, test.status, text)
			}
		})
	}
}

// TestProvidersRefusalIsNoFaultOfOurs: what a provider answers in the browser is
// anybody's to say, and no gateway's error.
func TestProvidersRefusalIsNoFaultOfOurs(t *testing.T) {
	s := newSignInScene(t, "URL")
	for code, status := range map[string]int{"access_denied": 403, "server_error": 400, "login_required": 400, "temporarily_unavailable": 400, "x": 400} {
		b := s.tab()
		u, err := url.Parse(b.begin(own))
		if err != nil {
			t.Fatal(err)
		}
		res, text := b.send("GET", "/auth/callback?error="+code+"&error_description=<script>&state="+url.QueryEscape(u.Query().Get("state")), "")
		if res.StatusCode != status || strings.Contains(text, "<script") || b.lasts() {
			t.Errorf("%s: %s: %s", code, res.Status, text)
		}
	}
}

// TestCookieFlags: no script reads the cookies, no neighbour plants them, and
// no http request shows them.
func TestCookieFlags(t *testing.T) {
	s := newSignInScene(t, "https://registry.example.com")
	b := s.tab()
	address := b.begin(own)
	started := b.set
	if res, text := b.send("GET", b.answer(s.own, address, s.own.Claims("alice", "registry")), ""); res.StatusCode != http.StatusSeeOther {
		t.Fatal(res.Status, text)
	}
	for _, c := range append(started, b.set...) {
		if !strings.HasPrefix(c.Name, "__Host-registry_") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s", c)
		}
	}
	if len(b.cookies) != 1 || !b.lasts() {
		t.Errorf("cookies %v", b.cookies)
	}
	for name, value := range b.cookies { // one that a neighbour or http could have planted
		planted := &tab{s: s, cookies: map[string]string{strings.TrimPrefix(name, "__Host-"): value}}
		if planted.lasts() {
			t.Error("the session is good under a name that anybody may set")
		}
	}
}

// TestDisabledUsersSessionEnds: at once, and signing in is no way back.
func TestDisabledUsersSessionEnds(t *testing.T) {
	s := newSignInScene(t, "URL")
	b := s.signedIn(s.own, own, "alice", "s1")
	users := s.wants(200, "GET", "/auth/api/v1/users", "", bearer(adminKey))
	id := regexp.MustCompile(`"id":"(user-[a-z0-9]+)"`).FindStringSubmatch(users)
	if id == nil || !b.lasts() {
		t.Fatal(users)
	}
	s.wants(200, "POST", "/auth/api/v1/users/"+id[1]+"/disable", "", bearer(adminKey), jsonBody)
	if b.lasts() {
		t.Error("the session goes on")
	}
	again := s.tab()
	if res, _ := again.send("GET", again.answer(s.own, again.begin(own), s.own.Claims("alice", "registry")), ""); res.StatusCode != http.StatusForbidden || again.lasts() {
		t.Errorf("signing in: %s", res.Status)
	}
}

// TestOneIssuerEndsNoSessionOfAnother: sid and sub are the issuer's own words,
// and another one may use the same.
func TestOneIssuerEndsNoSessionOfAnother(t *testing.T) {
	s := newSignInScene(t, "URL")
	ours, theirs := s.signedIn(s.own, own, "alice", "s1"), s.signedIn(s.partner, partner, "alice", "s1")
	now := time.Now().Unix()
	for i, names := range []jose.Object{{"sid": "s1"}, {"sub": "alice"}, {"sid": "s1", "sub": "alice"}} {
		claims := jose.Object{
			"iss": s.partner.Issuer, "aud": "registry", "iat": now, "exp": now + 120, "jti": string(rune('a' + i)),
			"events": jose.Object{"http://schemas.openid.net/event/backchannel-logout": jose.Object{}},
		}
		for name, value := range names {
			claims = claims.With(name, value)
		}
		token, err := s.partner.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		s.wants(200, "POST", "/auth/back-channel-logout", url.Values{"logout_token": {token}}.Encode(), "Content-Type: application/x-www-form-urlencoded")
		if !ours.lasts() {
			t.Fatalf("%v: another issuer's word ended a session", names)
		}
		if theirs.lasts() {
			t.Errorf("%v: its own session goes on", names)
		}
		theirs = s.signedIn(s.partner, partner, "alice", "s1")
	}
}

// TestFormsNeedTheirToken: a form is only taken from a page of the session.
func TestFormsNeedTheirToken(t *testing.T) {
	s := newSignInScene(t, "URL")
	b, other := s.signedIn(s.own, own, "alice", "s1"), s.signedIn(s.own, own, "bob", "s2")
	token := func(b *tab) string {
		_, text := b.send("GET", "/auth/csrf", "")
		return regexp.MustCompile(`"token":"([^"]+)"`).FindStringSubmatch(text)[1]
	}
	form := "Content-Type: application/x-www-form-urlencoded"
	for name, body := range map[string]string{"none": "", "a wrong one": "csrf=x", "another session's": "csrf=" + token(other)} {
		for _, path := range []string{"/auth/sign-out", "/auth/tokens", "/auth/sessions/end", "/auth/confirm", "/auth/device/approve"} {
			if res, _ := b.send("POST", path, body+"&name=x&days=7", form, "Sec-Fetch-Site: same-origin"); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s, %s: %s", path, name, res.Status)
			}
		}
	}
	if res, _ := b.send("POST", "/auth/sign-out", "csrf="+token(b), form, "Sec-Fetch-Site: cross-site"); res.StatusCode != http.StatusForbidden || !b.lasts() {
		t.Errorf("from another site: %s", res.Status)
	}
	if res, _ := b.send("POST", "/auth/sign-out", "csrf="+token(b), form, "Sec-Fetch-Site: same-origin"); res.StatusCode != http.StatusOK || b.lasts() {
		t.Errorf("of the page: %s", res.Status)
	}
}
