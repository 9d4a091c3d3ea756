package registryauth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/freeport"
)

// A gateway is the plugin in a real Caddy in front of a fake registry.
type gateway struct {
	t        testing.TB
	url      string
	robot    string // secret of robot ci, which may push to team/**
	hash     string
	storage  string
	upstream *fakeRegistry
	client   *http.Client
	logs     string
}

// fakeRegistry records what reaches it and answers as it is told.
type fakeRegistry struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	answer   http.HandlerFunc
}

func newFakeRegistry(t testing.TB) *fakeRegistry {
	f := &fakeRegistry{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r)
		answer := f.answer
		f.mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body)
		if answer != nil {
			answer(w, r)
			return
		}
		fmt.Fprintf(w, "upstream %s %s", r.Method, r.URL.RequestURI())
	}))
	t.Cleanup(f.Close)
	return f
}

// seen returns the requests since the last call.
func (f *fakeRegistry) seen() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests = nil
	return requests
}

func (f *fakeRegistry) respond(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = h
}

// standardRealm is the body of registry_auth in most tests.
const standardRealm = `
	public_url http://registry.test
	token {
		path /v2/token /token
	}
	project team/** {
		robot ci pull push {
			secret_hash HASH
		}
	}
	project public/** {
		guest anyone
	}
`

// startGateway runs Caddy with the realm's settings; HASH stands for the
// stored form of the robot's secret.
func startGateway(t testing.TB, realm string) *gateway {
	t.Helper()
	g := &gateway{t: t, upstream: newFakeRegistry(t), storage: t.TempDir(), logs: t.TempDir() + "/caddy.log"}
	g.robot, g.hash = authn.NewSecret(authn.SecretRobot)
	g.client = &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	g.url = "http://" + freeAddress(t)
	g.load(realm)
	t.Cleanup(func() {
		g.client.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return g
}

// places counts the addresses that [gateway.apart] has given.
var places atomic.Uint32

// apart has the gateway asked from an address that no other test asks from. What
// wrong passwords may cost is counted by address for the whole process, and a
// slow machine has spent it by the time that all tests have shown theirs.
func (g *gateway) apart() {
	n := places.Add(1)
	from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}
	g.client.Transport = &http.Transport{DialContext: (&net.Dialer{LocalAddr: from}).DialContext}
}

// load makes the settings effective, as `caddy reload` does.
func (g *gateway) load(realm string) {
	g.t.Helper()
	if err := g.tryLoad(realm); err != nil {
		g.t.Fatalf("loading: %v", err)
	}
}

// restart ends Caddy and starts it again.
func (g *gateway) restart(realm string) {
	g.t.Helper()
	g.client.CloseIdleConnections()
	if err := caddy.Stop(); err != nil {
		g.t.Fatal(err)
	}
	g.load(realm)
}

func (g *gateway) tryLoad(realm string) error {
	g.t.Helper()
	defer g.client.CloseIdleConnections() // of the server before
	defer onlyListener(g.t, g.url)
	return loadCaddyfile(g.t, g.caddyfile(strings.ReplaceAll(realm, "HASH", g.hash)))
}

func (g *gateway) caddyfile(realm string) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	grace_period 2s
	storage file_system %[1]s
	registry_auth {
		store bolt %[1]s/state.db
	}
	log {
		output file %s
		level DEBUG
	}
	servers {
		trusted_proxies static 192.0.2.1
	}
}
%s {
	registry_auth {
		%s
	}
	reverse_proxy %s
}
`, g.storage, g.logs, g.url, realm, g.upstream.URL)
}

func loadCaddyfile(t testing.TB, text string) error {
	t.Helper()
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "formatted") {
			t.Errorf("warning: %v", w)
		}
	}
	return caddy.Load(adapted, true)
}

func freeAddress(t testing.TB) string {
	t.Helper()
	port, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body string
}

type option func(*http.Request)

func basic(user, password string) option {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func bearer(token string) option { return header("Authorization", "Bearer "+token) }

func header(name, value string) option {
	return func(r *http.Request) { r.Header[name] = append(r.Header[name], value) }
}

// do sends a request to the gateway.
func (g *gateway) do(method, path, body string, options ...option) answer {
	g.t.Helper()
	for attempt := 0; ; attempt++ {
		a, err := g.try(method, path, body, options...)
		if err == nil {
			return a
		}
		// Right after a reload the old server may still accept a connection
		// and close it.
		if attempt == 3 {
			g.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

func (g *gateway) try(method, path, body string, options ...option) (answer, error) {
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, o := range options {
		o(r)
	}
	response, err := g.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return answer{Response: response, body: string(data)}, err
}

// token gets a registry token for the scopes.
func (g *gateway) token(scopes string, options ...option) string {
	g.t.Helper()
	a := g.do("GET", "/v2/token?service=registry.test&scope="+strings.ReplaceAll(scopes, " ", "%20"), "", options...)
	var body struct{ Token string }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Token == "" {
		g.t.Fatalf("token: %d %s", a.StatusCode, a.body)
	}
	return body.Token
}

// code returns the error code of a distribution-spec error body.
func (a answer) code() string {
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || len(body.Errors) == 0 {
		return ""
	}
	return body.Errors[0].Code
}

// logLines returns the log lines with the given message, decoded.
func (g *gateway) logLines(message string) []map[string]any {
	g.t.Helper()
	data, err := os.ReadFile(g.logs)
	if err != nil {
		g.t.Fatal(err)
	}
	var lines []map[string]any
	for line := range bytes.Lines(data) {
		var decoded map[string]any
		if json.Unmarshal(line, &decoded) == nil && decoded["msg"] == message {
			lines = append(lines, decoded)
		}
	}
	return lines
}
