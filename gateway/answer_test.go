package gateway

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
)

// shownOnes are credentials for the registry, one after the other.
type shownOnes struct {
	nature upstream.Nature
	left   []string
	err    error
}

func (s *shownOnes) Authorization(context.Context, upstream.Question) ([]string, error) {
	if s.err != nil || len(s.left) == 0 {
		return nil, s.err
	}
	return s.left[:1], nil
}

func (s *shownOnes) Refused(upstream.Question, []string, []string) bool {
	if s.left = s.left[1:]; len(s.left) == 0 {
		s.left = []string{"none"}
	}
	return s.left[0] != "none"
}

func (*shownOnes) Accepted(upstream.Question) {}
func (s *shownOnes) Nature() upstream.Nature  { return s.nature }

// forwards is a request that is sent on, with what is written down of it.
func forwards(t *testing.T, method, path, body string) *underWay {
	t.Helper()
	u := sends(t, method, path, body)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	recorder, err := NewRecorder(ctx, "test", caddyfile.Config{})
	if err != nil {
		t.Fatal(err)
	}
	recorder.audit = zap.NewNop()
	u.front.Recorder, u.front.Log = recorder, zap.NewNop()
	u.front.TokenURL = func(*http.Request) string { return "https://here/token" }
	u.front.Base = func(*http.Request) string { return "https://here" }
	u.front.Grace = 0
	u.decide()
	return u
}

// TestRegistrysDemandsStayHere: what the registry asks for, sets or leads to
// elsewhere does not reach the client.
func TestRegistrysDemandsStayHere(t *testing.T) {
	for name, test := range map[string]struct {
		nature upstream.Nature
		shown  []string
		status int
		want   int
	}{
		"an answer":                                {upstream.Lasting, nil, 200, 200},
		"it is not there":                          {upstream.Lasting, nil, 404, 404},
		"it asks for credentials":                  {upstream.Lasting, nil, 401, 502},
		"it does not accept the gateway's":         {upstream.Lasting, []string{"x"}, 401, 502},
		"a proxy asks for credentials":             {upstream.Lasting, nil, 407, 502},
		"it would speak another protocol":          {upstream.Lasting, nil, 101, 502},
		"it does not accept the client's":          {upstream.ClientsOwn, nil, 401, 401},
		"it does not accept what could be renewed": {upstream.Renewable, []string{"x"}, 401, 502},
	} {
		u := forwards(t, "GET", "/v2/team/app/manifests/v1", "")
		u.front.Upstream = NewUpstream(&shownOnes{nature: test.nature, left: test.shown})
		u.registry = func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			for _, name := range []string{"Www-Authenticate", "Set-Cookie", "Etag", "Docker-Content-Digest", "Content-Encoding"} {
				h.Set(name, "registry")
			}
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, "of the registry")
		}
		if err := u.forward(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := u.w.(*httptest.ResponseRecorder)
		h := got.Header()
		if got.Code != test.want || h.Get("Www-Authenticate") == "registry" || h.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", name, got.Code, h)
		}
		if passed := test.want == test.status && test.status != 401; passed != (h.Get("Etag") != "") || passed != (got.Body.String() == "of the registry") || passed != (h.Get("Docker-Content-Digest") != "") {
			t.Errorf("%s: %v %s", name, h, got.Body)
		}
		if (test.want == 401) != (strings.Contains(h.Get("Www-Authenticate"), `realm="https://here/token"`) && strings.Contains(h.Get("Www-Authenticate"), "invalid_token")) {
			t.Errorf("%s: %v", name, h)
		}
		if test.status == 200 && !strings.Contains(h.Get("Cache-Control"), "private") {
			t.Errorf("%s: others may keep it: %v", name, h)
		}
	}
}

// TestBodyOfARefusalIsDropped, however the registry writes it.
func TestBodyOfARefusalIsDropped(t *testing.T) {
	for name, write := range map[string]func(*gate) error{
		"written": func(g *gate) error { _, err := g.Write([]byte("of the registry")); return err },
		"read":    func(g *gate) error { _, err := g.ReadFrom(strings.NewReader("of the registry")); return err },
	} {
		for status, passes := range map[int]bool{0: true, 200: true, 401: false} {
			u := forwards(t, "GET", "/v2/team/app/manifests/v1", "")
			g := &gate{ResponseWriter: u.w, exchange: u.exchange, last: true}
			if g.Unwrap() != u.w {
				t.Error("the writer below is another one")
			}
			if status != 0 {
				g.WriteHeader(status)
			}
			if err := write(g); err != nil {
				t.Error(err)
			}
			g.WriteHeader(http.StatusOK)
			body := u.w.(*httptest.ResponseRecorder).Body.String()
			if g.passed != passes || g.blocked == passes || (body == "of the registry") != passes || strings.Contains(body, "registry") && !passes && !strings.Contains(body, "errors") {
				t.Errorf("%s after %d: passed %v, %s", name, status, g.passed, body)
			}
		}
	}
}

// TestHintsAreNoAnswer: the head that counts is still to come.
func TestHintsAreNoAnswer(t *testing.T) {
	u := forwards(t, "GET", "/v2/team/app/manifests/v1", "")
	g := &gate{ResponseWriter: u.w, exchange: u.exchange, last: true}
	if g.WriteHeader(http.StatusEarlyHints); g.passed || g.blocked {
		t.Error("the answer is on its way")
	}
}

// TestUploadsComeBackHere: a Location that names the registry leads here, and
// one to elsewhere is left alone.
func TestUploadsComeBackHere(t *testing.T) {
	const path = "/v2/team/app/blobs/uploads/u1"
	for location, want := range map[string]string{
		"":                             "",
		path:                           path,
		"http://internal:5000" + path:  path,
		"http://u:p@internal" + path:   path,
		"//internal" + path:            path,
		"https://here" + path:          "https://here" + path,
		"https://bucket.example/x?s=1": "https://bucket.example/x?s=1",
		"http://[" + path:              "http://[" + path,
	} {
		for status, rewritten := range map[int]bool{200: false, 201: true, 202: true, 204: true, 307: false} {
			u := forwards(t, "POST", "/v2/team/app/blobs/uploads/", "")
			u.registry = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			}
			if err := u.forward(); err != nil {
				t.Error(err)
			}
			expected := want
			if !rewritten {
				expected = location
			}
			if got := u.w.Header().Get("Location"); got != expected {
				t.Errorf("%d %s: %s, want %s", status, location, got, expected)
			}
		}
	}
}

// TestAnotherCredentialIsTried once, with a body that can be sent again, and
// nothing of the first answer is seen.
func TestAnotherCredentialIsTried(t *testing.T) {
	for name, test := range map[string]struct {
		method, path string
		arrives      bool
		left         []string
		want         int
		seen         string
	}{
		"a pull":                         {"GET", "manifests/v1", false, []string{"old", "new"}, 200, "old: new:"},
		"a pull, with none left":         {"GET", "manifests/v1", false, []string{"old"}, 502, "old:"},
		"a pull, with two that are old":  {"GET", "manifests/v1", false, []string{"old", "old", "new"}, 503, "old: old:"},
		"a manifest":                     {"PUT", "manifests/dev", true, []string{"old", "new"}, 200, "old:body new:body"},
		"an upload, whose body has gone": {"PATCH", "blobs/uploads/u1", false, []string{"old", "new"}, 503, "old:body"},
	} {
		u := forwards(t, test.method, "/v2/team/app/"+test.path, "body")
		if test.method == "GET" {
			u.r.Body, u.r.ContentLength = http.NoBody, 0
		}
		u.front.Upstream = NewUpstream(&shownOnes{nature: upstream.Renewable, left: test.left})
		var seen []string
		u.registry = func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			credential := r.Header.Get("Authorization")
			seen = append(seen, credential+":"+string(body))
			if credential == "old" {
				w.Header().Set("X-First", "1")
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
		if test.arrives {
			if err := u.arrive(); err != nil {
				t.Fatal(err)
			}
		}
		if err := u.forward(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := u.w.(*httptest.ResponseRecorder)
		if got.Code != test.want || strings.Join(seen, " ") != test.seen || test.want == 200 && got.Header().Get("X-First") != "" {
			t.Errorf("%s: %d %v, the registry saw %q", name, got.Code, got.Header(), seen)
		}
	}
}

// TestNothingIsSentWithoutACredential that can be had.
func TestNothingIsSentWithoutACredential(t *testing.T) {
	for err, want := range map[error]int{upstream.ErrRefused: 502, upstream.ErrUnavailable: 503} {
		u := forwards(t, "GET", "/v2/team/app/manifests/v1", "")
		u.front.Upstream = NewUpstream(&shownOnes{nature: upstream.Renewable, left: []string{"x"}, err: err})
		if err := u.forward(); err != nil {
			t.Error(err)
		}
		if got := u.w.(*httptest.ResponseRecorder); got.Code != want {
			t.Errorf("%v: %d %s", err, got.Code, got.Body)
		}
	}
}

// TestWhatEndsOnItsWay is answered with why, and not as a registry that is away.
func TestWhatEndsOnItsWay(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*underWay)
		err    error
		want   int
	}{
		"nothing":               {nil, nil, 200},
		"the registry is away":  {nil, errors.New("connection refused"), 502},
		"a handler refuses":     {nil, caddyhttp.Error(http.StatusRequestEntityTooLarge, nil), 413},
		"they were disabled":    {func(u *underWay) { u.ended = authn.ErrDisabled }, errors.New("read"), 401},
		"they may not any more": {func(u *underWay) { u.rules(t, "pull") }, errors.New("read"), 403},
		"the tag was lost": {func(u *underWay) {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(errTagLeaseLost)
			u.r = u.r.WithContext(ctx)
		}, errors.New("read"), 503},
	} {
		u := forwards(t, "PATCH", "/v2/team/app/blobs/uploads/u1", "body")
		if test.change != nil {
			test.change(u)
		}
		u.next = caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			_, _ = io.ReadAll(r.Body)
			return test.err
		})
		if err := u.forward(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := u.w.(*httptest.ResponseRecorder); got.Code != test.want {
			t.Errorf("%s: %d %s, want %d", name, got.Code, got.Body, test.want)
		}
	}
}

// TestWhatWasDecidedIsSent: the canonical path, our own credential and nothing
// that the client says of itself.
func TestWhatWasDecidedIsSent(t *testing.T) {
	u := forwards(t, "PATCH", "/v2/team/app/blobs/uploads/u1?_state=a%2Fb&_grace=AAAA", "body")
	u.r.Header = http.Header{"Authorization": {"Basic mine"}, "Cookie": {"a=b"}, "X-Forwarded-User": {"root"}, "Range": {"bytes=0-1"}}
	u.r.URL.Fragment, u.r.URL.ForceQuery = "x", true
	u.front.Upstream = NewUpstream(upstream.Static{"Bearer ours"})
	var saw *http.Request
	u.registry = func(_ http.ResponseWriter, r *http.Request) { saw = r }
	if err := u.forward(); err != nil {
		t.Fatal(err)
	}
	if saw.RequestURI != "/v2/team/app/blobs/uploads/u1?_state=a%2Fb" || saw.URL.RawPath != "" || saw.URL.Fragment != "" {
		t.Errorf("%s, %+v", saw.RequestURI, saw.URL)
	}
	if names := slices.Sorted(maps.Keys(saw.Header)); strings.Join(names, " ") != "Authorization Range" || saw.Header.Get("Authorization") != "Bearer ours" {
		t.Errorf("%v", saw.Header)
	}
}

// TestGraceIsForUploadsOfTokens only, and as long as it is on.
func TestGraceIsForUploadsOfTokens(t *testing.T) {
	const location = "/v2/team/app/blobs/uploads/u1"
	for name, change := range map[string]func(*underWay){
		"it is off":          func(u *underWay) { u.front.Grace = 0 },
		"it is no token":     func(u *underWay) { u.principal.Credential = "robot_secret" },
		"it is nobody's":     func(u *underWay) { u.principal.Kind = authn.KindAnonymous },
		"it has ended":       func(u *underWay) { u.principal.Expires = time.Now().Add(-2 * time.Hour) },
		"it leads elsewhere": func(u *underWay) { u.request.Repository = "team/other" },
	} {
		u := forwards(t, "POST", "/v2/team/app/blobs/uploads/", "")
		u.front.Grace, u.principal.Credential, u.principal.Expires = time.Hour, authn.CredentialRegistryToken, time.Now()
		change(u)
		if got := u.withGrace(location); got != location {
			t.Errorf("%s: %s", name, got)
		}
	}
}
