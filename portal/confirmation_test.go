package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

var aToken = url.Values{"name": {"laptop"}, "days": {"7"}, "permissions": {"team/** pull"}}

// tokenCount is how many access tokens there are.
func tokenCount(f *front) (n int) {
	for range f.state.Tokens.All() {
		n++
	}
	return n
}

// proposed sends the form of an access token and returns where it is
// confirmed.
func (p *person) proposed(form url.Values) string {
	p.Helper()
	g := p.send("/auth/tokens", form)
	next := continueLink.FindStringSubmatch(g.body)
	if next == nil || g.header.Get("Refresh") != "0; url="+next[1] {
		p.Fatalf("%d, %q, no way on:\n%s", g.status, g.header.Get("Refresh"), g.body)
	}
	return next[1]
}

// TestCredentialsAreConfirmed goes the whole way to an access token.
func TestCredentialsAreConfirmed(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	session := p.sessionCookie()
	next := p.proposed(aToken)
	if tokenCount(f) != 0 {
		t.Fatal("made before it was confirmed")
	}
	last := p.get(next)
	to, err := url.Parse(p.hops[0])
	if err != nil || to.Query().Get("prompt") != "login" || to.Query().Get("max_age") != "0" {
		t.Errorf("the provider is asked with %v", p.hops)
	}
	for _, want := range []string{"Create this access token?", "laptop", "team/** pull"} {
		if !strings.Contains(last.body, want) {
			t.Errorf("the last page does not have %q", want)
		}
	}
	if tokenCount(f) != 0 || last.confirmation() == nil || p.sessionCookie() != session {
		t.Fatal("made, no button, or another session")
	}
	if last.header.Get("Cross-Origin-Opener-Policy") != "same-origin" || last.header.Get("X-Frame-Options") != "DENY" ||
		!strings.Contains(last.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || last.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", last.header)
	}
	if g := p.send("/auth/confirm", last.confirmation()); !strings.Contains(g.body, "crapt_") || tokenCount(f) != 1 {
		t.Errorf("%d tokens: %s", tokenCount(f), g.body)
	}
	if g := p.send("/auth/confirm", last.confirmation()); g.status != http.StatusBadRequest || tokenCount(f) != 1 {
		t.Errorf("the button is good twice: %d", g.status)
	}
}

// TestScriptsConfirmNothing does what a script on the pages' own host can do:
// send any form with the session, and read what its own requests get.
func TestScriptsConfirmNothing(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	fetched := func(form url.Values) *page {
		form.Set("csrf", p.get("/auth/").csrf())
		return p.do(http.MethodPost, "/auth/tokens", form, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty")
	}
	if g := fetched(aToken); g.status != http.StatusForbidden {
		t.Errorf("a form that is not shown: %d", g.status)
	}
	next := p.proposed(aToken)
	if g := p.get(next, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"); g.status != http.StatusForbidden {
		t.Errorf("the way to the provider, fetched: %d", g.status)
	}
	if g := p.get(next, "Sec-Fetch-Dest", "iframe"); g.status != http.StatusForbidden {
		t.Errorf("the way to the provider, framed: %d", g.status)
	}
	u, _ := url.Parse(next)
	for name, form := range map[string]url.Values{
		"no button":      {"id": {u.Query().Get("id")}},
		"an empty one":   {"id": {u.Query().Get("id")}, "confirmation": {""}},
		"a made-up one":  {"id": {u.Query().Get("id")}, "confirmation": {strings.Repeat("A", 43)}},
		"another's form": {"id": {"x"}, "confirmation": {strings.Repeat("A", 43)}},
	} {
		if g := p.send("/auth/confirm", form); g.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, g.status)
		}
	}
	// With confirmed=yes as for what is deleted, or through the API.
	for _, path := range []string{"/auth/tokens", "/auth/robots/new", "/auth/robots/rotate"} {
		form := url.Values{"name": {"x"}, "days": {"7"}, "permissions": {"team/** pull"}, "confirmed": {"yes"}}
		if g := p.send(path, form); strings.Contains(g.body, "Shown once") {
			t.Errorf("%s: %s", path, g.body)
		}
	}
	if n := tokenCount(f); n != 0 {
		t.Errorf("%d tokens", n)
	}
}

// TestConfirmationsOfNobody: the provider has to have asked this person.
func TestConfirmationsOfNobody(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*front)
		off    bool
		status int
		says   string
	}{
		"somebody else":         {func(f *front) { f.idp.person["sub"] = "b2" }, false, http.StatusForbidden, "as another user"},
		"signed in long ago":    {func(f *front) { f.idp.token = func(c object) { c["auth_time"] = time.Now().Add(-time.Hour).Unix() } }, false, http.StatusForbidden, "did not confirm"},
		"the provider is mute":  {func(f *front) { f.idp.token = func(c object) { delete(c, "auth_time") } }, false, http.StatusForbidden, "did not confirm"},
		"it says so oddly":      {func(f *front) { f.idp.token = func(c object) { c["auth_time"] = "now" } }, false, http.StatusForbidden, "did not confirm"},
		"it need not say so":    {func(f *front) { f.idp.token = func(c object) { delete(c, "auth_time") } }, true, http.StatusOK, "Create this access token?"},
		"somebody else, anyway": {func(f *front) { f.idp.person["sub"] = "b2" }, true, http.StatusForbidden, "as another user"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			if test.off {
				f.config.Reauthenticate = authn.SwitchOff
				f.open(t, f.provider(t, authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}}))
			}
			p := f.browser()
			p.signIn()
			next := p.proposed(aToken)
			f.idp.set(func() { test.change(f) })
			g := p.get(next)
			if g.status != test.status || !strings.Contains(g.body, test.says) {
				t.Errorf("%d: %s", g.status, g.body)
			}
		})
	}
}

// TestConfirmationIsOfItsSession: neither another browser nor a later sign-in
// of the same person confirms what was sent before.
func TestConfirmationIsOfItsSession(t *testing.T) {
	f := newFront(t)
	p, other := f.browser(), f.browser()
	p.signIn()
	other.signIn()
	if g := other.get(p.proposed(aToken)); g.status != http.StatusBadRequest {
		t.Errorf("another browser: %d", g.status)
	}
	last := p.get(p.proposed(aToken))
	if g := other.send("/auth/confirm", last.confirmation()); g.status != http.StatusBadRequest {
		t.Errorf("another browser has the button: %d", g.status)
	}
	late := p.proposed(aToken)
	f.advance(16 * time.Minute)
	if g := p.get(late); g.status != http.StatusBadRequest {
		t.Errorf("too late: %d", g.status)
	}
	if g := p.send("/auth/confirm", last.confirmation()); g.status != http.StatusBadRequest {
		t.Errorf("the button is there for too long: %d", g.status)
	}
	for range 20 {
		p.proposed(aToken)
	}
	waiting := 0
	for range f.state.Confirmations.All() {
		waiting++
	}
	if waiting > 12 {
		t.Errorf("%d forms wait", waiting)
	}
}

// TestFormIsMendedFirst: nobody signs in again for a form that will be
// refused.
func TestFormIsMendedFirst(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	g := p.send("/auth/tokens", url.Values{"name": {"laptop"}, "days": {"7"}, "permissions": {"team/** delte"}})
	if !strings.Contains(g.body, "delte") || !strings.Contains(g.body, "team/** delte</textarea>") || continueLink.MatchString(g.body) {
		t.Errorf("%d: %s", g.status, g.body)
	}
}

// TestDeviceLinkSignsInOnce: who is not signed in and follows the link of a
// device signs in once, and lets it in on the page that follows.
func TestDeviceLinkSignsInOnce(t *testing.T) {
	f := newFront(t)
	d, code, user := f.begin(laptop)
	p := f.browser()
	last := p.get("/auth/device?user_code=" + user)
	if last.confirmation() == nil || !strings.Contains(last.body, "Allow this login?") || !strings.Contains(last.body, user) {
		t.Fatalf("%d at %s: %s", last.status, last.path, last.body)
	}
	if e := d.poll(code); e != "authorization_pending" {
		t.Fatal(e)
	}
	if g := p.send("/auth/confirm", last.confirmation()); !strings.Contains(g.body, "The device is logged in") {
		t.Error(g.body)
	}
	if e := d.poll(code); e != "" {
		t.Error(e)
	}
}

// TestSignedInAgainElsewhere: the provider's session may be another one after
// it has asked the person, and its end is the end of ours.
func TestSignedInAgainElsewhere(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	next := p.proposed(aToken)
	f.idp.set(func() { f.idp.person["sid"] = "s2" })
	if last := p.get(next); last.confirmation() == nil {
		t.Fatal(last.body)
	}
	if err := f.sessions.SignedOut(t.Context(), &authn.LogoutToken{Issuer: f.idp.URL, Subject: "a1", Session: "s2"}); err != nil {
		t.Fatal(err)
	}
	if sessionCount(f.state) != 0 {
		t.Error("the session goes on")
	}
}

// TestLongFormsAreNotKept: what waits is bounded.
func TestLongFormsAreNotKept(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	long := url.Values{"name": {"laptop"}, "days": {"7"}, "permissions": {strings.Repeat("team/** pull\n", 2000)}}
	if g := p.send("/auth/tokens", long); g.status != http.StatusRequestEntityTooLarge || continueLink.MatchString(g.body) {
		t.Errorf("%d: %s", g.status, g.body)
	}
}
