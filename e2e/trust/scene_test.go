package trust

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// adminKey is the key of the management API in the scenes that have one: they
// say `management { api_key test {env.ADMIN_KEY} }`.
const adminKey = "administrators-key-of-the-end-to-end-tests"

// scene is a gateway with a Caddyfile of the test's own, in front of a server
// that remembers what reached it.
type scene struct {
	*gateway.Gateway
	t *testing.T
	// URL is the gateway's base address, Addr its host and port.
	URL, Addr string
	// Upstream is what stands behind the gateway.
	Upstream *behind

	config gateway.Config
}

// start runs a gateway. In sites, ADDR is the address to listen on, PORT its
// port, for a site of any name, URL its base URL, and UPSTREAM the server
// behind, which answers as the handler does; nil answers 200 to everything.
// Global options may stand before them.
func start(t *testing.T, sites string, handler http.HandlerFunc, env ...string) *scene {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, Addr: fmt.Sprintf("127.0.0.1:%d", port), Upstream: newBehind(t, handler)}
	s.URL = "http://" + s.Addr
	s.config = gateway.Config{
		Env:      append([]string{"ADMIN_KEY=" + adminKey}, env...),
		ReadyURL: s.URL + "/v2/",
	}
	s.write(sites)
	if s.Gateway, err = gateway.Start(t.Context(), s.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		for _, fault := range s.Log.Faults(0) {
			t.Error("gateway log:", fault)
		}
	})
	return s
}

// write takes over the sites, and global options before them.
func (s *scene) write(sites string) {
	s.config.Global, s.config.Sites = "", s.expand(sites)
	if options, rest, ok := strings.Cut(s.config.Sites, "\n}\n"); ok && strings.HasPrefix(options, "{\n") {
		s.config.Global, s.config.Sites = strings.TrimPrefix(options, "{\n"), rest
	}
}

func (s *scene) expand(sites string) string {
	return strings.NewReplacer("ADDR", s.Addr, "PORT", s.Addr[strings.LastIndexByte(s.Addr, ':')+1:], "URL", s.URL, "UPSTREAM", strings.TrimPrefix(s.Upstream.URL, "http://")).Replace(sites)
}

// reload puts other sites in force, written as for [start].
func (s *scene) reload(sites string) {
	s.t.Helper()
	s.write(sites)
	if err := s.Reload(s.t.Context(), s.config); err != nil {
		s.t.Fatal(err)
	}
	// The servers before close their connections, which are not to be used.
	http.DefaultClient.CloseIdleConnections()
}

// call sends a request to the gateway. Headers are "Name: value"; a path may
// be an absolute URL. The body of the answer has been read.
func (s *scene) call(method, path, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = s.URL + path
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Add(name, value)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(answer)
}

// wants is call with the status that must come back.
func (s *scene) wants(status int, method, path, body string, headers ...string) string {
	s.t.Helper()
	res, answer := s.call(method, path, body, headers...)
	if res.StatusCode != status {
		s.t.Errorf("%s %s: %s, want %d: %.300s", method, path, res.Status, status, answer)
	}
	return answer
}

// basic is the header that a user name and password are sent in.
func basic(user, password string) string {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(user, password)
	return "Authorization: " + req.Header.Get("Authorization")
}

// bearer is the header that a token is sent in.
func bearer(token string) string { return "Authorization: Bearer " + token }

const jsonBody = "Content-Type: application/json"

// behind is a server behind the gateway.
type behind struct {
	*httptest.Server

	mu   sync.Mutex
	seen []*http.Request
}

func newBehind(t *testing.T, handler http.HandlerFunc) *behind {
	b := &behind{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		copied := r.Clone(r.Context())
		copied.Body = io.NopCloser(strings.NewReader(string(body)))
		b.mu.Lock()
		b.seen = append(b.seen, copied)
		b.mu.Unlock()
		if handler != nil {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			handler(w, r)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// requests returns what has reached the server so far, and forgets it. The
// gateway's own questions are among it.
func (b *behind) requests() []*http.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.seen
	b.seen = nil
	return seen
}
