package portal_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
)

// disable locks a user out, as an administrator does.
func disable(f *front, name string) {
	f.Helper()
	for item := range f.state.Users.All() {
		if item.Value.Name == name {
			u := *item.Value
			u.Disabled = true
			var tx state.Tx
			f.state.PutUser(&tx, item.ID, &u, item)
			if err := f.state.Commit(f.Context(), &tx); err != nil {
				f.Fatal(err)
			}
		}
	}
}

// evidence is what a request with the session shows on /v2.
func evidence(method string, headers ...string) *authn.Credential {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return &authn.Credential{Evidence: &authn.Evidence{Method: method, Header: h}}
}

func TestSessionOnRegistry(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	cookie := "registry_session=" + p.sessionCookie()
	token := strings.Split(p.get("/auth/csrf").body, `"`)[7]
	for _, test := range []struct {
		name, method string
		headers      []string
		err          error
	}{
		{"nothing", "GET", nil, authn.ErrNotMine},
		{"other cookies", "GET", []string{"Cookie", "a=b"}, authn.ErrNotMine},
		{"read", "GET", []string{"Cookie", cookie}, nil},
		{"head", "HEAD", []string{"Cookie", cookie}, nil},
		{"unknown", "GET", []string{"Cookie", "registry_session=" + strings.Repeat("A", 43)}, authn.ErrExpired},
		{"garbage", "GET", []string{"Cookie", "registry_session=x"}, authn.ErrInvalid},
		{"empty", "GET", []string{"Cookie", "registry_session="}, authn.ErrInvalid},
		{"tossed: two of the name", "GET", []string{"Cookie", "registry_session=x; " + cookie}, authn.ErrInvalid},
		{"tossed: two headers", "GET", []string{"Cookie", cookie, "Cookie", "registry_session=x"}, authn.ErrInvalid},
		{"as if by https", "GET", []string{"Cookie", "__Host-" + cookie}, authn.ErrExpired},
		{"write", "PUT", []string{"Cookie", cookie}, authn.ErrInvalid},
		{"write from another site", "PUT", []string{"Cookie", cookie, "Sec-Fetch-Site", "cross-site"}, authn.ErrInvalid},
		{"write from a neighbour", "DELETE", []string{"Cookie", cookie, "Sec-Fetch-Site", "same-site"}, authn.ErrInvalid},
		{"write typed in", "DELETE", []string{"Cookie", cookie, "Sec-Fetch-Site", "none"}, authn.ErrInvalid},
		{"write from a page", "PUT", []string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin"}, nil},
		{"write, origin", "POST", []string{"Cookie", cookie, "Origin", f.URL}, nil},
		{"write, another origin", "POST", []string{"Cookie", cookie, "Origin", "https://evil.example"}, authn.ErrCrossSite},
		{"write, origin null", "POST", []string{"Cookie", cookie, "Origin", "null"}, authn.ErrInvalid},
		{"write with a token", "POST", []string{"Cookie", cookie, "X-Csrf-Token", token}, nil},
		{"write with a wrong token", "POST", []string{"Cookie", cookie, "X-Csrf-Token", token + "A", "Sec-Fetch-Site", "same-origin"}, authn.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := f.sessions.AuthenticateAmbient(t.Context(), evidence(test.method, test.headers...))
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			if err == nil && (got.Name != "alice" || got.Credential != "session" || got.Authenticator != "sessions" || got.Expires.IsZero()) {
				t.Errorf("principal %+v", got)
			}
		})
	}
}

func TestSessionEnds(t *testing.T) {
	for name, end := range map[string]func(*front, *person){
		"idle": func(f *front, _ *person) { f.advance(8*time.Hour + time.Minute) },
		"absolute": func(f *front, p *person) {
			for range 7 * 24 {
				f.advance(time.Hour)
				if p.get("/auth/portal.css").status != http.StatusOK {
					f.Fatal("no stylesheet")
				}
				_, _ = f.sessions.AuthenticateAmbient(f.Context(), evidence("GET", "Cookie", "registry_session="+p.sessionCookie()))
				time.Sleep(2 * time.Millisecond) // it is noted in the background
			}
		},
		"disabled":      func(f *front, _ *person) { disable(f, "alice") },
		"provider gone": func(f *front, _ *person) { f.forgotten.Store(true) },
		"ended": func(f *front, _ *person) {
			if _, err := f.sessions.End(f.Context(), state.System, "session.end", func(*state.Session, string) bool { return true }); err != nil {
				f.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			p := f.browser()
			p.signIn()
			c := evidence("GET", "Cookie", "registry_session="+p.sessionCookie())
			principal, err := f.sessions.AuthenticateAmbient(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			exchanged := *principal
			exchanged.Credential, exchanged.CredentialID, exchanged.Origin, exchanged.OriginID = "registry_token", "j", principal.Credential, principal.CredentialID
			if err := f.sessions.Recheck(&exchanged, c); err != nil {
				t.Errorf("what it was exchanged for: %v", err)
			}
			end(f, p)
			if _, err := f.sessions.AuthenticateAmbient(t.Context(), c); err == nil || errors.Is(err, authn.ErrNotMine) {
				t.Errorf("it goes on: %v", err)
			}
			if err := f.sessions.Recheck(&exchanged, c); err == nil {
				t.Error("what it was exchanged for goes on")
			}
		})
	}
}

// A session that is in use does not rest.
func TestSessionInUse(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	cookie := p.sessionCookie()
	for range 20 {
		f.advance(4 * time.Hour)
		if g := p.get("/auth/clients"); g.path != "/auth/clients" || p.sessionCookie() != cookie {
			t.Fatalf("it ended: %d %s", g.status, g.path)
		}
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			fresh := false
			for item := range f.state.Sessions.All() {
				fresh = f.now().Sub(item.Value.Used) < time.Minute
			}
			if fresh {
				break
			}
		}
	}
}

// People see their sessions, and no others, and end them.
func TestMySessions(t *testing.T) {
	f := newFront(t)
	first, second := f.browser(), f.browser()
	first.signIn()
	second.signIn()
	f.idp.set(func() { f.idp.person = object{"sub": "b2", "preferred_username": "bob"} })
	bob := f.browser()
	bob.signIn()
	if g := bob.get("/auth/sessions"); strings.Count(g.body, "<time") != 2 {
		t.Errorf("bob sees others\n%s", g.body)
	}
	var others []string
	for item := range f.state.Sessions.All() {
		others = append(others, item.ID)
	}
	for _, id := range others {
		bob.post("/auth/sessions/end", url.Values{"id": {id}, "confirmed": {"yes"}})
	}
	if sessionCount(f.state) != 3 {
		t.Fatal("bob ended sessions of alice, or the one he uses")
	}
	if g := first.post("/auth/sessions/end", url.Values{}); !strings.Contains(g.body, "Are you sure?") || sessionCount(f.state) != 3 {
		t.Error("nobody asked")
	}
	if g := first.post("/auth/sessions/end", url.Values{"confirmed": {"yes"}}); !strings.Contains(g.body, "Signed out.") {
		t.Error(g.body)
	}
	if sessionCount(f.state) != 2 {
		t.Error("the other session goes on")
	}
}

func TestBackChannelLogout(t *testing.T) {
	const event = "http://schemas.openid.net/event/backchannel-logout"
	f := newFront(t)
	p := f.browser()
	p.signIn()
	d, code, user := f.begin(laptop)
	p.post("/auth/device/approve", url.Values{"user_code": {user}})
	if e := d.poll(code); e != "" {
		t.Fatal(e)
	}
	login := d.text("access_token")
	now := time.Now().Unix()
	claims := func(change object) object {
		c := object{"iss": f.idp.URL, "aud": "registry", "iat": now, "exp": now + 120, "jti": "j", "sid": "s1", "sub": "a1", "events": object{event: object{}}}
		for name, v := range change {
			if c[name] = v; v == nil {
				delete(c, name)
			}
		}
		return c
	}
	send := func(token string) int {
		return f.browser().do(http.MethodPost, "/auth/back-channel-logout", url.Values{"logout_token": {token}}, "Sec-Fetch-Mode", "", "Sec-Fetch-Site", "").status
	}
	for name, token := range map[string]string{
		"empty":           "",
		"nonce":           f.idp.sign("logout+jwt", claims(object{"nonce": "n"})),
		"no event":        f.idp.sign("logout+jwt", claims(object{"events": object{"other": object{}}})),
		"event no object": f.idp.sign("logout+jwt", claims(object{"events": object{event: "x"}})),
		"an ID token":     f.idp.sign("JWT", claims(object{"events": nil})),
		"audience":        f.idp.sign("logout+jwt", claims(object{"aud": "other"})),
		"issuer":          f.idp.sign("logout+jwt", claims(object{"iss": "https://other.example"})),
		"old":             f.idp.sign("logout+jwt", claims(object{"iat": now - 600})),
		"expired":         f.idp.sign("logout+jwt", claims(object{"exp": now - 300})),
		"no jti":          f.idp.sign("logout+jwt", claims(object{"jti": nil})),
		"nobody":          f.idp.sign("logout+jwt", claims(object{"sub": nil, "sid": nil})),
		"typ":             f.idp.sign("at+jwt", claims(nil)),
		"another's key":   newIDP(t).sign("logout+jwt", claims(nil)),
	} {
		if got := send(token); got != http.StatusBadRequest {
			t.Errorf("%s: %d", name, got)
		}
	}
	if got := send(f.idp.sign("logout+jwt", claims(object{"jti": "j0", "sid": "s2"}))); got != http.StatusOK || sessionCount(f.state) != 1 || !logged(f, login) {
		t.Errorf("another session of the provider: %d", got)
	}
	good := f.idp.sign("logout+jwt", claims(nil))
	if got := send(good); got != http.StatusOK {
		t.Errorf("good: %d", got)
	}
	if sessionCount(f.state) != 0 || logged(f, login) {
		t.Error("the session goes on, or the docker login that was approved in it")
	}
	if got := send(good); got != http.StatusBadRequest {
		t.Errorf("shown again: %d", got)
	}
	p.signIn()
	if got := send(f.idp.sign("logout+jwt", claims(object{"jti": "j2", "sid": nil}))); got != http.StatusOK || sessionCount(f.state) != 0 {
		t.Errorf("by sub: %d", got)
	}
	p.signIn()
	if got := send(f.idp.sign("JWT", claims(object{"jti": "j3", "sub": nil, "exp": nil}))); got != http.StatusOK || sessionCount(f.state) != 0 {
		t.Errorf("by sid: %d", got)
	}
}

// TestOnePersonsSessionsAreBounded: who signs in again and again ends what they
// have not used for longest, and nobody else's.
func TestOnePersonsSessionsAreBounded(t *testing.T) {
	f := newFront(t)
	bob := f.signedIn("bob", "dev")
	first, second := f.signedIn("alice", "dev"), f.signedIn("alice", "dev")
	f.advance(time.Hour)
	first.get("/auth/") // is in use
	for range 40 {
		f.advance(time.Second)
		f.signedIn("alice", "dev")
	}
	if n := sessionCount(f.state); n > 31 {
		t.Errorf("%d sessions", n)
	}
	cors := []string{"Sec-Fetch-Mode", "cors"}
	if g := bob.get("/auth/csrf", cors...); g.status != http.StatusOK {
		t.Errorf("somebody else: %d", g.status)
	}
	if g := second.get("/auth/csrf", cors...); g.status != http.StatusUnauthorized {
		t.Errorf("the oldest: %d", g.status)
	}
}

// TestLogoutTokenIsSpentWithItsEffect: while the store is away a provider's logout
// is not done, and its token is good when the provider asks again; on all gateways
// and after a restart it is good once.
func TestLogoutTokenIsSpentWithItsEffect(t *testing.T) {
	f := newFront(t)
	f.browser().signIn()
	out := &authn.LogoutToken{Issuer: f.idp.URL, Subject: "a1", ID: "j", Until: time.Now().Add(time.Minute)}
	f.store.Fail(faultstore.Apply, store.ErrUnavailable)
	if err := f.sessions.SignedOut(t.Context(), out); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	f.store.Fail(faultstore.Apply, nil)
	if err := f.sessions.SignedOut(t.Context(), out); err != nil || sessionCount(f.state) != 0 {
		t.Fatalf("asked again: %v, %d sessions", err, sessionCount(f.state))
	}
	other, err := state.Open(t.Context(), f.store, f.state.Realm(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := portal.NewSessions(portal.SessionOptions{State: other, Policy: f.rules}).SignedOut(t.Context(), out); !errors.Is(err, state.ErrSpent) {
		t.Errorf("on another gateway: %v", err)
	}
}

// TestLogoutOfAProviderThatHangsUp is done all the same.
func TestLogoutOfAProviderThatHangsUp(t *testing.T) {
	f := newFront(t)
	f.browser().signIn()
	f.store.Delay(faultstore.Apply, 100*time.Millisecond)
	now := time.Now().Unix()
	token := f.idp.sign("logout+jwt", object{
		"iss": f.idp.URL, "aud": "registry", "iat": now, "exp": now + 120, "jti": "j", "sub": "a1",
		"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}},
	})
	ctx, hangUp := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer hangUp()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/auth/back-channel-logout", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	f.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
	if n := sessionCount(f.state); n != 0 {
		t.Errorf("%d sessions go on", n)
	}
}
