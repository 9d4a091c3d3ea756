package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	ownCookies   = "registry_session=a; __Host-registry_session_0123abcd=b; registry_signin_ABC=c; __Host-registry_signin_D=d"
	otherCookies = "theme=dark; my_registry_session=e"
)

func TestHiddenCookiesAreFound(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/ui", nil)
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{}))
	r.Header.Set("Cookie", otherCookies+"; "+ownCookies)
	for range 2 { // two of our handlers
		hideCookies(r)
		if got := r.Header.Get("Cookie"); got != otherCookies {
			t.Errorf("left %q", got)
		}
		if got := requestEvidence(r).Header.Get("Cookie"); got != otherCookies+"; "+ownCookies {
			t.Errorf("found %q", got)
		}
	}
}
