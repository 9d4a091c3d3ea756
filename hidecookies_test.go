package registryauth_test

import (
	"testing"
)

const (
	ownCookies   = "registry_session=a; __Host-registry_session_0123abcd=b; registry_signin_ABC=c; __Host-registry_signin_D=d"
	otherCookies = "theme=dark; my_registry_session=e"
)

// TestOtherHandlersGetNoSession: what is behind the gateway beside the registry
// API does not see the cookie that people are signed in with.
func TestOtherHandlersGetNoSession(t *testing.T) {
	g := startGateway(t, standardRealm)
	for sent, want := range map[string]string{
		ownCookies: "", otherCookies: otherCookies, "theme=dark; " + ownCookies + "; my_registry_session=e": otherCookies,
	} {
		if a := g.do("GET", "/ui", "", header("Cookie", sent)); a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		for _, r := range g.upstream.seen() {
			if got := r.Header.Get("Cookie"); got != want {
				t.Errorf("%q became %q, want %q", sent, got, want)
			}
		}
	}
}
