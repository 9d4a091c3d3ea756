package portal_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestDevicesGetWhatTheyAskFor, and no more, whatever they are given.
func TestDevicesGetWhatTheyAskFor(t *testing.T) {
	for _, tokens := range []bool{false, true} {
		f := newFront(t)
		f.noLogins = !tokens
		f.open(t, f.provider(t, authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}}))
		alice := f.browser()
		alice.signIn()
		for scope, limited := range map[string]bool{"repository:team/**:pull": true, "": false} {
			d, code, user := f.begin(url.Values{"client_id": {"helper"}, "client_name": {"laptop " + scope}, "scope": {scope}})
			alice.post("/auth/device/approve", url.Values{"user_code": {user}})
			if e := d.poll(code); e != "" {
				t.Fatal(d.got)
			}
			parsed, err := authn.ParseSecret(d.text("access_token"))
			if err != nil {
				t.Fatal(err)
			}
			var limits []authn.Limit
			if tokens {
				item, ok := f.state.IdentityTokens.Get(parsed.ID)
				if !ok || item.Value.ProviderSession != "s1" || item.Value.Origin != "session" || item.Value.OriginID == "" {
					t.Fatalf("%+v", item)
				}
				limits = item.Value.Limits
			} else {
				item, ok := f.state.Tokens.Get(parsed.ID)
				if !ok {
					t.Fatal("no token")
				}
				p, err := f.state.IssuedSecret(parsed.ID)
				if err != nil || item.Value.User == "" {
					t.Fatal(err)
				}
				limits = p.Principal.Limits
			}
			if (limits != nil) != limited || limited && (len(limits) != 1 || limits[0].Name != "team/**") {
				t.Errorf("for %q: %v", scope, limits)
			}
		}
	}
}

// TestOthersStaySignedIn when somebody signs out, here or at the provider, and
// what was got with a session is good for its owner only.
func TestOthersStaySignedIn(t *testing.T) {
	f := newFront(t)
	alice, bob := f.browser(), f.browser()
	alice.signIn()
	f.idp.set(func() {
		f.idp.person = object{"sub": "b2", "preferred_username": "bob", "sid": "s2", "groups": []string{"dev"}}
	})
	bob.signIn()
	_, _, user := f.begin(laptop)
	bob.post("/auth/device/approve", url.Values{"user_code": {user}})
	waiting := func() (n int) {
		for range f.state.DeviceLogins.All() {
			n++
		}
		return n
	}
	if sessionCount(f.state) != 2 || waiting() != 1 {
		t.Fatalf("%d sessions, %d devices", sessionCount(f.state), waiting())
	}
	for item := range f.state.Sessions.All() {
		owner, err := f.state.Owning(item.Value.User, item.Value.Created)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a1", "b2"} {
			p := &authn.Principal{Kind: authn.KindUser, Name: "x", Issuer: f.idp.URL, Subject: name, Origin: "session", OriginID: item.ID}
			if err := f.sessions.Recheck(p, nil); (err == nil) != (owner.Subject == name) || err != nil && !errors.Is(err, authn.ErrDisabled) {
				t.Errorf("what %s got with the session of %s: %v", name, owner, err)
			}
			p.Origin, p.OriginID, p.CredentialID = "", "", item.ID
			if err := f.sessions.Recheck(p, nil); (err == nil) != (owner.Subject == name) {
				t.Errorf("the session of %s, shown by %s: %v", owner, name, err)
			}
		}
	}
	if err := f.sessions.SignedOut(t.Context(), &authn.LogoutToken{Issuer: f.idp.URL, Subject: "a1"}); err != nil {
		t.Fatal(err)
	}
	if sessionCount(f.state) != 1 || waiting() != 1 {
		t.Errorf("%d sessions, %d devices after another's end", sessionCount(f.state), waiting())
	}
	f.idp.set(func() {
		f.idp.person = object{"sub": "a1", "preferred_username": "alice", "sid": "s3", "groups": []string{"dev"}}
	})
	carol := f.browser()
	carol.signIn()
	carol.send("/auth/sign-out", url.Values{})
	if sessionCount(f.state) != 1 {
		t.Errorf("%d sessions after another's sign-out", sessionCount(f.state))
	}
	if err := f.sessions.SignedOut(t.Context(), &authn.LogoutToken{Issuer: f.idp.URL, Subject: "b2"}); err != nil {
		t.Fatal(err)
	}
	if sessionCount(f.state) != 0 || waiting() != 0 {
		t.Errorf("%d sessions, %d devices after the own end", sessionCount(f.state), waiting())
	}
}
