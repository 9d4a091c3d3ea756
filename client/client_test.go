package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAddresses(t *testing.T) {
	tests := []struct{ address, want string }{
		{"https://registry.example.com", "https://registry.example.com/auth/api/v1"},
		{"https://registry.example.com/", "https://registry.example.com/auth/api/v1"},
		{"https://registry.example.com:8443/admin/api/", "https://registry.example.com:8443/admin/api"},
		{"http://localhost:8080", "http://localhost:8080/auth/api/v1"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080/auth/api/v1"},
		{"http://registry.example.com", "error"},
		{"https://me:secret@registry.example.com", "error"},
		{"https://registry.example.com?x=1", "error"},
		{"ftp://registry.example.com", "error"},
		{"https://", "error"},
		{"localhost:2019", "http://localhost:2019"},
		{"localhost", "http://localhost:2019"},
		{":2020", "http://localhost:2020"},
		{"tcp/[::1]:2020", "http://[::1]:2020"},
		{"unix//run/caddy/admin.sock", "http://127.0.0.1"},
		{"unix//run/caddy/admin.sock|0200", "http://127.0.0.1"},
		{"unix/", "error"},
		{"fd/3", "error"},
		{"off", "error"},
		{"", "error"},
		{"udp/localhost:1", "error"},
	}
	for _, test := range tests {
		c, err := New(Options{Address: test.address, Key: "a-key"})
		switch {
		case test.want == "error":
			if !errors.Is(err, ErrAddress) {
				t.Errorf("%s: %v", test.address, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", test.address, err)
			}
		case err != nil || c.base != test.want:
			t.Errorf("%s: %q, %v, want %q", test.address, c.base, err, test.want)
		}
	}
}

func TestPath(t *testing.T) {
	if got := Path("projects", "a/b", "members", "claim:iss=https://sso//x?y#z"); got != "/projects/a%2Fb/members/claim:iss=https:%2F%2Fsso%2F%2Fx%3Fy%23z" {
		t.Error(got)
	}
}

func serve(t *testing.T, f http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

func connect(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPaging(t *testing.T) {
	calls := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		if got := r.Header.Get("Authorization"); got != "Bearer a-key" {
			t.Errorf("Authorization %q", got)
		}
		next := map[string]string{"": "b", "b": "c"}[r.URL.Query().Get("cursor")]
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprintf(w, `{"items":[%d,%d],"next":%q}`, calls*10, calls*10+1, next)
	})
	c := connect(t, Options{Address: s.URL, Key: "a-key"})
	list, err := Collect[int](t.Context(), c, "/list", url.Values{"limit": {"2"}}, 0)
	if err != nil || fmt.Sprint(list) != "[10 11 20 21 30 31]" {
		t.Errorf("%v %v", list, err)
	}
	calls = 0
	list, err = Collect[int](t.Context(), c, "/list", nil, 3)
	if err != nil || fmt.Sprint(list) != "[10 11 20]" || calls != 2 {
		t.Errorf("%v %v after %d calls", list, err, calls)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name, media, body string
		status            int
		header            map[string]string
		want              string
		unreachable       bool
	}{
		{"problem", "application/problem+json", `{"type":"https://example.com/docs/management.md#not-found","title":"There is no such thing","detail":"there is no robot \"ci\"","request_id":"r"}`, 404, nil, `there is no robot "ci" (not-found)`, false},
		{"fields", "application/problem+json", `{"type":"x#invalid","title":"Some fields are not right","errors":[{"field":"name","detail":"is missing"}]}`, 422, nil, "Some fields are not right (invalid)\n  name: is missing", false},
		{"of Caddy", "application/json", `{"error":"there is no such realm"}`, 404, nil, "there is no such realm (404)", false},
		{"starting", "text/plain", "", 503, map[string]string{"Retry-After": "3"}, "The gateway is not ready (unavailable)", false},
		{"a page", "text/html", "<html>", 404, nil, "the gateway cannot be reached: it answers 404 Not Found, which is not of this API: is the address right, and is registry_auth configured there?", true},
		{"a page that is good", "text/html", "<html>", 200, nil, "the gateway cannot be reached: it answers 200 OK, which is not of this API: is the address right, and is registry_auth configured there?", true},
		{"elsewhere", "text/html", "", 302, map[string]string{"Location": "https://evil.example.com/"}, "the gateway cannot be reached: it answers 302 Found to https://evil.example.com/, which is not of this API: is the address right, and is registry_auth configured there?", true},
		{"cut off", "application/json", `{"a":`, 200, nil, "the gateway cannot be reached: the answer broke off or is no JSON: unexpected EOF", true},
	}
	for _, test := range tests {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", test.media)
			for k, v := range test.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
		})
		_, err := Get[map[string]any](t.Context(), connect(t, Options{Address: s.URL, Key: "k"}), "/x", nil)
		var refused *Error
		var unreachable *UnreachableError
		if err == nil || err.Error() != test.want || errors.As(err, &unreachable) != test.unreachable || errors.As(err, &refused) == test.unreachable {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestNoFollowing: a key must not go where an answer points to.
func TestNoFollowing(t *testing.T) {
	elsewhere := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked with %q", r.Header.Get("Authorization")) })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	if err := connect(t, Options{Address: s.URL, Key: "k"}).Do(t.Context(), http.MethodPost, "/x", nil, map[string]string{}, nil); err == nil {
		t.Error("no error")
	}
}

func TestWaiting(t *testing.T) {
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `1`)
	})
	if n, err := Get[int](t.Context(), connect(t, Options{Address: s.URL, Wait: time.Minute}), "/x", nil); n != 1 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	calls.Store(-1000)
	_, err := Get[int](t.Context(), connect(t, Options{Address: s.URL, Wait: 10 * time.Millisecond}), "/x", nil)
	var refused *Error
	if !errors.As(err, &refused) || refused.Status != 503 {
		t.Error(err)
	}
	s.Close()
	_, err = Get[int](t.Context(), connect(t, Options{Address: s.URL}), "/x", nil)
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = Get[int](gone, connect(t, Options{Address: s.URL, Wait: time.Hour}), "/x", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestAdmin is an administration endpoint behind a socket: it is asked for the
// realm, and never gets a key.
func TestAdmin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	realms := []string{"main/2"}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.Host != "127.0.0.1" {
			t.Errorf("%s %v", r.Host, r.Header)
		}
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == LocalPrefix {
			_ = json.NewEncoder(w).Encode(realmList{realms})
			return
		}
		fmt.Fprintf(w, "%q", r.URL.EscapedPath())
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	c := connect(t, Options{Address: "unix/" + path + "|0200", Key: "k"})
	if got, err := Get[string](t.Context(), c, Path("robots", "ci"), nil); got != "/registry-auth/main%2F2/robots/ci" || err != nil {
		t.Error(got, err)
	}
	realms = []string{"b", "a"}
	if _, err := Get[string](t.Context(), connect(t, Options{Address: "unix/" + path}), "/x", nil); err == nil || err.Error() != "there are several realms: say which one of a, b" {
		t.Error(err)
	}
	realms = nil
	var none *RealmError
	if _, err := Get[string](t.Context(), connect(t, Options{Address: "unix/" + path}), "/x", nil); !errors.As(err, &none) {
		t.Error(err)
	}
	if got, err := Get[string](t.Context(), connect(t, Options{Address: "unix/" + path, Realm: "c"}), "/x", nil); got != "/registry-auth/c/x" || err != nil {
		t.Error(got, err)
	}
	body, err := connect(t, Options{Address: "unix/" + path, Realm: "c"}).Stream(t.Context(), "/lines", nil)
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
}
