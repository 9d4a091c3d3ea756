package tokenendpoint

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
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

func TestWriteError(t *testing.T) {
	for name, c := range map[string]struct {
		method  string
		status  int
		code    Code
		message string
		detail  any
		want    string
	}{
		"plain":                  {"GET", 403, CodeDenied, "alice may not push to a/b", nil, `{"errors":[{"code":"DENIED","message":"alice may not push to a/b"}]}`},
		"detail":                 {"PUT", 400, CodeNameInvalid, "upper case", map[string]string{"name": "A<b>"}, `{"errors":[{"code":"NAME_INVALID","message":"upper case","detail":{"name":"A<b>"}}]}`},
		"detail that is no JSON": {"GET", 400, CodeNameInvalid, "x", func() {}, `{"errors":[{"code":"NAME_INVALID","message":"x"}]}`},
		"no message":             {"GET", 401, CodeUnauthorized, "", nil, `{"errors":[{"code":"UNAUTHORIZED","message":"this registry wants you to log in"}]}`},
		"a message that docker hides": {
			"GET", 403, CodeDenied, "requested access to the resource is denied", nil,
			`{"errors":[{"code":"DENIED","message":"the registry's gateway refuses the request: forbidden"}]}`,
		},
		"HEAD": {"HEAD", 404, CodeNameUnknown, "x", nil, ``},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			WriteError(w, httptest.NewRequest(c.method, "/v2/", nil), c.status, c.code, c.message, c.detail)
			if w.Code != c.status || strings.TrimSpace(w.Body.String()) != c.want {
				t.Errorf("got  %d %s\nwant %d %s", w.Code, w.Body, c.status, c.want)
			}
			for name, want := range map[string]string{
				"Docker-Distribution-Api-Version": "registry/2.0", "Content-Type": "application/json", "Cache-Control": "no-store",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q", name, got)
				}
			}
			if w.Header().Get("Content-Length") == "" {
				t.Error("no Content-Length")
			}
		})
	}
}

func TestMessagesAreNeverGeneric(t *testing.T) {
	for status := 400; status < 600; status++ {
		for _, code := range []Code{CodeUnauthorized, CodeDenied, CodeUnsupported, CodeTooManyRequests, CodeUnavailable, CodeUnknown} {
			if m := describe(status, code, ""); m == "" || genericMessages[strings.ToLower(m)] {
				t.Errorf("%d %s: %q", status, code, m)
			}
		}
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
		WriteError(w, r, 401, CodeUnauthorized, "authentication required to pull team/app: sign in", nil)
	}
}
