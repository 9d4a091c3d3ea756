package tokenendpoint

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

func TestChallenge(t *testing.T) {
	target := authz.Access{Type: "repository", Name: "a/b", Actions: authz.Pull | authz.Push}
	source := authz.Access{Type: "repository", Name: "c/d", Actions: authz.Pull}
	for name, c := range map[string]struct {
		challenge Challenge
		want      string
	}{
		"login": {
			Challenge{Realm: "https://reg.example/v2/token", Service: "reg.example"},
			`Bearer realm="https://reg.example/v2/token",service="reg.example"`,
		},
		"mount": {
			Challenge{"https://reg.example/v2/token", "reg.example", []authz.Access{target, source}, ErrorInsufficientScope},
			`Bearer realm="https://reg.example/v2/token",service="reg.example",scope="repository:a/b:pull,push repository:c/d:pull",error="insufficient_scope"`,
		},
		"catalog": {
			Challenge{"https://reg.example/v2/token", "reg.example", []authz.Access{{Type: "registry", Name: "catalog", Actions: authz.AllActions}}, ""},
			`Bearer realm="https://reg.example/v2/token",service="reg.example",scope="registry:catalog:*"`,
		},
		"no empty scope": {
			Challenge{"https://reg.example/v2/token", "reg.example", []authz.Access{{Type: "repository", Name: "a"}}, ErrorInvalidToken},
			`Bearer realm="https://reg.example/v2/token",service="reg.example",error="invalid_token"`,
		},
		"nothing breaks out": {
			Challenge{Realm: "https://x/\"\\\r\n\x7f", Service: "a\",b=\"é"},
			`Bearer realm="https://x/%22%5C%0D%0A%7F",service="a%22,b=%22%C3%A9"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Www-Authenticate": {"Basic realm=x", "Negotiate"}}
			c.challenge.Set(h)
			if got := h["Www-Authenticate"]; len(got) != 1 || got[0] != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func BenchmarkChallenge(b *testing.B) {
	c := Challenge{
		"https://registry.example.com/v2/token", "registry.example.com",
		[]authz.Access{{Type: "repository", Name: "team/app", Actions: authz.Pull | authz.Push}},
		"",
	}
	h := http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		c.Set(h)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func BenchmarkUnauthorized(b *testing.B) {
	c := Challenge{
		"https://registry.example.com/v2/token", "registry.example.com",
		[]authz.Access{{Type: "repository", Name: "team/app", Actions: authz.Pull | authz.Push}},
		"",
	}
	r, w := httptest.NewRequest("GET", "/v2/", nil), discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		c.Set(w.h)
		answer.Write(w, r, 401, answer.CodeUnauthorized, "authentication required to pull team/app: sign in", nil)
	}
}

// TestNothingPermanentSaysTryAgain: a full store does not get room by waiting.
func TestNothingPermanentSaysTryAgain(t *testing.T) {
	f := unavailable(fmt.Errorf("identity token: %w", store.ErrFull))
	if f.status != http.StatusInsufficientStorage || f.retryAfter != 0 || strings.Contains(f.message, "try again") {
		t.Errorf("%+v", f)
	}
	if f := unavailable(errors.New("no key may sign")); f.status != http.StatusServiceUnavailable || f.retryAfter == 0 {
		t.Errorf("%+v", f)
	}
}
