package answer

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
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
			Write(w, httptest.NewRequest(c.method, "/v2/", nil), c.status, c.code, c.message, c.detail)
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
