package portal_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// gcm is a sealer for tests.
type gcm struct{ aead cipher.AEAD }

func newGCM(t *testing.T) gcm {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm{aead}
}

func (g gcm) Seal(plain []byte, bound string) []byte {
	nonce := make([]byte, g.aead.NonceSize())
	_, _ = rand.Read(nonce)
	return g.aead.Seal(nonce, nonce, plain, []byte(bound))
}

func (g gcm) Open(sealed []byte, bound string) ([]byte, error) {
	n := g.aead.NonceSize()
	return g.aead.Open(nil, sealed[:n], sealed[n:], []byte(bound))
}

// front is a portal with a provider and a server around it.
type front struct {
	store *faultstore.Store
	*httptest.Server
	*testing.T
	idp      *idp
	state    *state.State
	sessions *portal.Sessions
	portal   *portal.Portal
	manager  *management.Manager
	logins   *state.Logins
	noLogins bool
	graph    *graph // where the providers are reached
	config   portal.Config
	public   string // the URL of both, where there is another gateway
	https    bool   // with a certificate, and without a public URL
	admits   func(*authn.Principal) error
	// forgotten: the provider is not configured any more.
	forgotten atomic.Bool
	sealer    gcm
	clock     atomic.Int64
	compiled  atomic.Pointer[authz.Policy] // nil: to be compiled again
}

func (f *front) now() time.Time          { return time.Now().Add(time.Duration(f.clock.Load())) }
func (f *front) advance(d time.Duration) { f.clock.Add(int64(d)) }

func newFront(t *testing.T, change ...func(*authn.OIDCConfig)) *front {
	t.Helper()
	f := &front{T: t, idp: newIDP(t), sealer: newGCM(t)}
	f.idp.now = f.now
	f.graph = &graph{idp: f.idp}
	f.state = openState(t, f)
	c := authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2", DisplayName: "Corp <b>SSO</b>"}}
	for _, with := range change {
		with(&c)
	}
	f.open(t, f.provider(t, c))
	return f
}

var declared = authz.Config{
	Admins:   []authz.Admin{{Subjects: []string{"group:platform"}}},
	Projects: []authz.Project{{Patterns: []string{"team/**"}, Grants: []authz.Grant{{Role: "developer", Subjects: []string{"group:dev"}}}}},
}

// rules is the policy of what is declared and stored at the moment.
func (f *front) rules() *authz.Policy {
	if p := f.compiled.Load(); p != nil {
		return p
	}
	records := management.PolicyRecords(f.state, declared, management.Config{})
	policy, err := authz.Compile(records.Add(declared))
	if err != nil {
		panic(err)
	}
	policy = policy.With(f.state)
	f.compiled.Store(policy)
	return policy
}

func openState(t *testing.T, f *front) *state.State {
	t.Helper()
	f.store = faultstore.Wrap(memstore.New())
	st, err := state.Open(t.Context(), f.store, "default", state.Options{Now: f.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	t.Cleanup(st.OnPolicy(func() { f.compiled.Store(nil) }))
	return st
}

func (f *front) provider(t *testing.T, c authn.OIDCConfig) *authn.OIDC {
	t.Helper()
	a, err := authn.NewOIDC(c, authn.Options{Now: f.now, Transport: f.graph})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// open makes the portal with its providers.
func (f *front) open(t *testing.T, providers ...*authn.OIDC) {
	t.Helper()
	var handler http.Handler
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	scheme, public := "http://", ""
	if f.https {
		f.StartTLS()
		scheme = "https://"
	} else {
		f.Start()
		public = f.URL
	}
	t.Cleanup(f.Close)
	if f.public != "" {
		public = f.public
	}
	policy := f.rules
	f.sessions = portal.NewSessions(portal.SessionOptions{State: f.state, Policy: policy, Sealer: f.sealer, Config: f.config, PublicURL: public, Now: f.now, Admits: f.admits, Knows: func(string) bool { return !f.forgotten.Load() }})
	if f.logins = nil; !f.noLogins {
		f.logins = f.state.NewLogins(state.LoginConfig{Lifetime: 24 * time.Hour, Idle: time.Hour}, nil)
	}
	var err error
	f.manager, err = management.New(management.Options{State: f.state, Policy: policy, Now: f.now})
	if err != nil {
		t.Fatal(err)
	}
	f.portal, err = portal.New(portal.Options{
		Logins: f.logins, Service: "registry.test", Manager: f.manager, Sessions: f.sessions, State: f.state, Policy: policy, Providers: providers, PublicURL: public, Now: f.now,
		Remote: func(r *http.Request) netip.Addr {
			a, err := netip.ParseAddr(r.Header.Get("X-Test-Remote"))
			if err != nil {
				return netip.MustParseAddr("127.0.0.1")
			}
			return a
		},
		Config: f.config, Base: func(r *http.Request) string { return scheme + r.Host },
	})
	if err != nil {
		t.Fatal(err)
	}
	handler = f.portal
}

// person is a browser.
type person struct {
	*front
	client *http.Client
	hops   []string // what the last request was redirected to
	as     object   // who it is at the provider; nil: whoever is there
}

func (f *front) browser() *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.Fatal(err)
	}
	p := &person{front: f}
	p.client = &http.Client{Jar: jar, Transport: f.Server.Client().Transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		p.hops = append(p.hops, r.URL.String())
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		return nil
	}}
	return p
}

// page is what a browser shows.
type page struct {
	status int
	path   string
	header http.Header
	body   string
}

func (p *person) do(method, path string, form url.Values, headers ...string) *page {
	p.Helper()
	target := path
	if strings.HasPrefix(path, "/") {
		target = p.URL + path
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(p.Context(), method, target, body)
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	p.hops = nil
	res, err := p.client.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.Fatal(err)
	}
	return &page{res.StatusCode, res.Request.URL.Path, res.Header, string(text)}
}

func (p *person) get(path string, headers ...string) *page {
	p.Helper()
	return p.do(http.MethodGet, path, nil, headers...)
}

var tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// csrf returns the token of a page's forms.
func (g *page) csrf() string {
	if m := tokenField.FindStringSubmatch(g.body); m != nil {
		return m[1]
	}
	return ""
}

// post sends a form as a page of ours would, and confirms it where that is
// asked for.
func (p *person) post(path string, form url.Values) *page {
	p.Helper()
	g := p.send(path, form)
	if next := continueLink.FindStringSubmatch(g.body); next != nil {
		if p.as != nil {
			p.idp.set(func() { p.idp.person = p.as })
		}
		if g = p.get(next[1]); g.confirmation() != nil {
			return p.send("/auth/confirm", g.confirmation())
		}
	}
	return g
}

// send sends a form as a page of ours would.
func (p *person) send(path string, form url.Values) *page {
	p.Helper()
	form.Set("csrf", p.get("/auth/").csrf())
	return p.do(http.MethodPost, path, form)
}

var (
	continueLink = regexp.MustCompile(`href="(/auth/confirm\?id=[^"]+)"`)
	confirmField = regexp.MustCompile(`name="id" value="([^"]+)">\s*<input type="hidden" name="confirmation" value="([^"]+)"`)
)

// confirmation is what the form of the last page carries, nil if this is none.
func (g *page) confirmation() url.Values {
	m := confirmField.FindStringSubmatch(g.body)
	if m == nil {
		return nil
	}
	return url.Values{"id": {m[1]}, "confirmation": {m[2]}}
}

func (p *person) signIn() *page {
	p.Helper()
	g := p.get("/auth/")
	if g.status != http.StatusOK || g.path != "/auth/" {
		p.Fatalf("sign-in ends with %d at %s\n%s", g.status, g.path, g.body)
	}
	return g
}

// cookies of the portal's host.
func (p *person) cookies() []*http.Cookie {
	u, _ := url.Parse(p.URL)
	return p.client.Jar.Cookies(u)
}

func (p *person) sessionCookie() string {
	for _, c := range p.cookies() {
		if c.Name == "registry_session" {
			return c.Value
		}
	}
	return ""
}

func (p *person) refused(g *page, status int, says string) {
	p.Helper()
	if g.status != status || !strings.Contains(g.body, says) {
		p.Errorf("got %d, want %d with %q\n%s", g.status, status, says, g.body)
	}
	if p.sessionCookie() != "" {
		p.Error("there is a session")
	}
}

func sessionCount(s *state.State) (n int) {
	for range s.Sessions.All() {
		n++
	}
	return n
}

// record asks a portal without a server around it.
func record(h http.Handler, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
