package portal_test

import (
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestSessionsOfOneIssuerAreNotAnothersToEnd: sid and sub are an issuer's own
// words.
func TestSessionsOfOneIssuerAreNotAnothersToEnd(t *testing.T) {
	f := newFront(t)
	f.browser().signIn()
	for _, out := range []authn.LogoutToken{
		{Issuer: "https://other.example", Session: "s1"},
		{Issuer: "https://other.example", Subject: "a1"},
		{Issuer: "https://other.example", Subject: "a1", Session: "s1"},
		{Issuer: "", Session: "s1"},
		{Issuer: f.idp.URL, Session: "s2"},
		{Issuer: f.idp.URL, Subject: "a2"},
		{Issuer: f.idp.URL, Subject: "a2", Session: "s1"},
	} {
		if err := f.sessions.SignedOut(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		if sessionCount(f.state) != 1 {
			t.Fatalf("%+v ended the session", out)
		}
	}
	if err := f.sessions.SignedOut(t.Context(), &authn.LogoutToken{Issuer: f.idp.URL, Session: "s1"}); err != nil || sessionCount(f.state) != 0 {
		t.Errorf("its own issuer did not: %v", err)
	}
}
