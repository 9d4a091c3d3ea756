package portal_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestConfirmationsAreUsedOnce: each step leads to the next one only, and only
// the last answer of the provider counts.
func TestConfirmationsAreUsedOnce(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	next := p.proposed(aToken)
	for _, headers := range [][]string{{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, {"Sec-Fetch-Mode", "cors"}, {"Sec-Fetch-Dest", "iframe"}} {
		if g := p.get(next, headers...); g.status != http.StatusForbidden || len(p.hops) != 0 {
			t.Errorf("%v is sent to the provider: %d, %v", headers, g.status, p.hops)
		}
	}
	first := p.answer(next)
	second := p.answer(next)
	if g := p.get(first); g.status != http.StatusBadRequest || g.confirmation() != nil {
		t.Errorf("an answer to what was asked before: %d", g.status)
	}
	last := p.get(second)
	if last.confirmation() == nil {
		t.Fatalf("%d: %s", last.status, last.body)
	}
	if g := p.get(next); g.status != http.StatusBadRequest || len(p.hops) != 0 {
		t.Errorf("the way to the provider, when the button is there: %d", g.status)
	}
	for name, button := range map[string]string{"none": "", "another": strings.Repeat("A", 43), "nearly": last.confirmation().Get("confirmation")[1:]} {
		if g := p.send("/auth/confirm", url.Values{"id": last.confirmation()["id"], "confirmation": {button}}); g.status != http.StatusBadRequest || tokenCount(f) != 0 {
			t.Errorf("%s: %d", name, g.status)
		}
	}
	form := last.confirmation()
	form.Set("csrf", p.get("/auth/").csrf())
	if g := p.do(http.MethodPost, "/auth/confirm", form, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"); g.status != http.StatusForbidden || tokenCount(f) != 0 {
		t.Errorf("by a script: %d", g.status)
	}
	if g := p.do(http.MethodPost, "/auth/confirm", form, "Sec-Fetch-Dest", "document"); !strings.Contains(g.body, "crapt_") || tokenCount(f) != 1 {
		t.Errorf("%d tokens: %s", tokenCount(f), g.body)
	}
	// An answer is of nobody when the session that asked has ended.
	elsewhere := f.browser()
	elsewhere.signIn()
	if g := elsewhere.get(p.proposed(aToken)); g.status != http.StatusBadRequest || len(elsewhere.hops) != 0 {
		t.Errorf("another browser is sent to the provider: %d, %v", g.status, elsewhere.hops)
	}
	out, in := p.answer(p.proposed(aToken)), p.answer(p.proposed(aToken))
	if err := f.sessions.SignedOut(t.Context(), &authn.LogoutToken{Issuer: f.idp.URL, Subject: "a1"}); err != nil {
		t.Fatal(err)
	}
	if g := p.get(out); g.status != http.StatusBadRequest || g.confirmation() != nil {
		t.Errorf("without a session: %d", g.status)
	}
	p.signIn()
	if g := p.get(in); g.status != http.StatusBadRequest || g.confirmation() != nil {
		t.Errorf("in another session: %d", g.status)
	}
	// Nor when it comes too late.
	slow := p.answer(p.proposed(aToken))
	f.advance(16 * time.Minute)
	if g := p.get(slow); g.status != http.StatusBadRequest || g.confirmation() != nil {
		t.Errorf("too late: %d", g.status)
	}
	if tokenCount(f) != 1 {
		t.Errorf("%d tokens", tokenCount(f))
	}
}

// TestFormsThatWaitAreAPersonsOwn: who has many waiting loses the oldest, and
// nobody else any.
func TestFormsThatWaitAreAPersonsOwn(t *testing.T) {
	f := newFront(t)
	bob, alice := f.browser(), f.browser()
	f.idp.set(func() { f.idp.person = object{"sub": "b2", "preferred_username": "bob", "groups": []string{"dev"}} })
	bob.signIn()
	waits := bob.proposed(aToken)
	f.idp.set(func() { f.idp.person = object{"sub": "a1", "preferred_username": "alice", "groups": []string{"dev"}} })
	alice.signIn()
	var links []string
	for range 12 {
		f.advance(time.Second)
		links = append(links, alice.proposed(aToken))
	}
	for i, link := range links {
		u, _ := url.Parse(link)
		if _, ok := f.state.Confirmations.Get(u.Query().Get("id")); ok != (i >= 2) {
			t.Errorf("form %d of 12 waits: %v", i+1, ok)
		}
	}
	u, _ := url.Parse(waits)
	if _, ok := f.state.Confirmations.Get(u.Query().Get("id")); !ok {
		t.Error("somebody else's does not wait any more")
	}
	// What was asked goes on: it is not another one.
	if alice.get(links[11]).confirmation() == nil {
		t.Error("the newest is not confirmed")
	}
	if _, ok := f.state.Confirmations.Get(mustID(t, links[2])); !ok {
		t.Error("going on with one costs another")
	}
}

func mustID(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("id")
}

// TestConfirmedWhereOneHasSignedIn: another provider confirms nothing, and
// where the own one is gone nothing can be confirmed.
func TestConfirmedWhereOneHasSignedIn(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	cookies := p.cookies()
	other := newIDP(t)
	f.open(t, f.provider(t, authn.OIDCConfig{Issuer: other.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}}))
	u, _ := url.Parse(f.URL)
	p.client.Jar.SetCookies(u, cookies)
	form := maps.Clone(aToken)
	form.Set("csrf", p.get("/auth/").csrf())
	if g := p.do(http.MethodPost, "/auth/tokens", form); g.status != http.StatusForbidden || !strings.Contains(g.body, "nobody can sign in with your identity provider") || g.header.Get("Refresh") != "" || tokenCount(f) != 0 {
		t.Errorf("%d: %s", g.status, g.body)
	}
}
