package management

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/export"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// adminKey is a key of the configuration that is good for everything.
const adminKey = "static-admin-key-0123456789-0123456789"

// stage is an API in front of a state in memory. Every answer that is seen on
// it is held to the OpenAPI document, see contract_test.go.
type stage struct {
	t       *testing.T
	store   *faultstore.Store
	state   *state.State
	manager *Manager
	api     *API
	robots  *authn.Robots
	clock   *testClock
	remote  string
}

// people are those who may sign in on a stage, by the bearer token that they
// show; "session:" before it, in a cookie, is a browser's session.
var people = map[string]*authn.Principal{
	"root":  {Kind: authn.KindUser, Name: "root", Issuer: "https://sso", Subject: "0", Credential: "id_token"},
	"alice": {Kind: authn.KindUser, Name: "alice", Issuer: "https://sso", Subject: "1", Groups: []string{"team-a"}, Credential: "id_token"},
	"carol": {Kind: authn.KindUser, Name: "carol", Issuer: "https://sso", Subject: "3", Credential: "id_token"},
	"lena":  {Kind: authn.KindUser, Name: "lena", Credential: authn.CredentialPassword},
	"bob":   {Kind: authn.KindUser, Name: "bob", Issuer: "https://sso", Subject: "2", Credential: "id_token"},
}

// rules are those of a stage: root may do everything, alice manages team-a.
var rules = authz.Config{
	Admins: []authz.Admin{{Subjects: []string{"user:root"}}},
	Projects: []authz.Project{
		{Name: "team-a", Patterns: []string{"team-a/**"}, Grants: []authz.Grant{{Role: "project_admin", Subjects: []string{"user:alice"}}, {Actions: []string{"pull", "list", "manage"}, Subjects: []string{"user:carol"}}}},
		{Name: "team-b", Patterns: []string{"team-b/**"}, Grants: []authz.Grant{{Role: "guest", Subjects: []string{"user:alice"}}}},
	},
}

func newStage(t *testing.T, change ...func(*Options)) *stage {
	t.Helper()
	return newStageOn(t, memstore.New(), change...)
}

// newStageOn is one of several gateways on a store.
func newStageOn(t *testing.T, shared store.Store, change ...func(*Options)) *stage {
	t.Helper()
	s := &stage{t: t, store: faultstore.Wrap(shared), clock: newTestClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), remote: "192.0.2.7:1234"}
	now := s.clock.now
	var err error
	if s.state, err = state.Open(t.Context(), s.store, "main", state.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.state.Close)
	compiled, err := authz.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	policy := compiled.With(s.state)
	_, declaredHash := authn.NewSecret(authn.SecretRobot)
	declared := authn.RobotConfig{Name: "declared", SecretHashes: []string{declaredHash}}
	o := Options{
		State: s.state, Policy: func() *authz.Policy { return policy }, Now: now,
		Declared: Declared{
			Robots:     []DeclaredRobot{{RobotConfig: declared, Source: "Caddyfile:7"}},
			Projects:   []DeclaredProject{{rules.Projects[0]}, {rules.Projects[1]}},
			RobotNames: map[string]string{"scanner": "service_secret"},
		},
		Config:     Config{APIKeys: []StaticKeyConfig{{Name: "root", Key: "{env.KEY}", Source: "Caddyfile:3"}}, HarborRobots: true},
		StaticKeys: []string{adminKey},
	}
	for _, f := range change {
		f(&o)
	}
	if s.manager, err = New(o); err != nil {
		t.Fatal(err)
	}
	if s.robots, err = authn.NewRobots([]authn.RobotConfig{declared}, nil, nil, now); err != nil {
		t.Fatal(err)
	}
	s.robots.Follow(s.state)
	tokens := authn.NewIssued(authn.SecretPersonalToken, s.state, now)
	chain := authn.NewChain([]authn.Member{authn.NewMember(authn.RobotsName, s.robots), authn.NewMember(state.TokensName, tokens)}, nil)
	s.api, err = NewAPI(s.manager, APIOptions{
		RequestID: func(*http.Request) string { return "req-1" },
		Installation: func(r *http.Request) (export.Input, error) {
			return export.Input{
				Registry: r.Host, Realm: "https://" + r.Host + "/v2/token", Service: "registry", Issuer: "https://" + r.Host,
				Algorithm: "ES256", CertificatesURL: "https://" + r.Host + "/certs", JWKSURL: "https://" + r.Host + "/jwks",
				Certificates: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), JWKS: []byte(`{"keys":[{"kty":"EC"}]}`),
			}, nil
		},
		Authenticate: func(r *http.Request) (*authn.Principal, error) {
			if c, err := r.Cookie("session"); err == nil && r.Header.Get("Authorization") == "" {
				p := *people[c.Value]
				p.Credential = CredentialSession
				return &p, nil
			}
			if p, ok := people[bearer(r.Header["Authorization"])]; ok {
				s.see(p)
				return p, nil
			}
			addr := netip.MustParseAddrPort(r.RemoteAddr).Addr()
			c, err := authn.FromHeader(r.Header, addr)
			if err != nil {
				return nil, err
			}
			return chain.Authenticate(r.Context(), c)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// see records a person, as the gateway does who authenticated one.
func (s *stage) see(p *authn.Principal) string {
	id, u, before, changed := s.state.See(p)
	if changed && before == nil {
		var tx state.Tx
		s.state.PutUser(&tx, id, u, before)
		if err := s.state.Commit(s.t.Context(), &tx); err != nil {
			s.t.Logf("recording %s: %v", p, err)
		}
	}
	return id
}

// seen is an answer.
type seen struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// call sends a request with a bearer token; a path below the prefix. Header is
// pairs of names and values; the body may be a string or anything for JSON.
func (s *stage) call(as, method, path string, body any, header ...string) seen {
	s.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	if !strings.HasPrefix(path, HarborPrefix) {
		path = s.api.prefix + path
	}
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, reader)
	r.RemoteAddr = s.remote
	if body != nil || method != http.MethodDelete {
		r.Header.Set("Content-Type", "application/json")
	}
	switch {
	case strings.HasPrefix(as, "session:"):
		r.AddCookie(&http.Cookie{Name: "session", Value: strings.TrimPrefix(as, "session:")})
	case as != "":
		r.Header.Set("Authorization", "Bearer "+as)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	got := seen{s.t, w.Code, w.Header(), w.Body.Bytes()}
	s.conforms(method, strings.TrimPrefix(strings.SplitN(path, "?", 2)[0], s.api.prefix), got)
	return got
}

// admin is call as an administrator.
func (s *stage) admin(method, path string, body any, header ...string) seen {
	s.t.Helper()
	return s.call(adminKey, method, path, body, header...)
}

// want fails unless the answer has a status and, if it is an error, a code.
func (g seen) want(status int, code ...Code) seen {
	g.t.Helper()
	if g.status != status {
		g.t.Fatalf("status %d, want %d: %s", g.status, status, g.body)
	}
	for _, c := range code {
		if p := g.problem(); p.Type != ProblemBase+string(c) {
			g.t.Fatalf("problem %s, want %s: %s", p.Type, c, g.body)
		}
	}
	return g
}

func (g seen) problem() Problem {
	g.t.Helper()
	var p Problem
	g.into(&p)
	return p
}

func (g seen) into(v any) {
	g.t.Helper()
	if err := json.Unmarshal(g.body, v); err != nil {
		g.t.Fatalf("%v: %s", err, g.body)
	}
}

// text returns a member of the answer's object.
func (g seen) text(name string) string {
	g.t.Helper()
	var m map[string]any
	g.into(&m)
	if v, ok := m[name]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// testClock is a clock that tests advance while the state in the background
// reads it.
type testClock struct{ unix atomic.Int64 }

func newTestClock(t time.Time) *testClock {
	c := new(testClock)
	c.unix.Store(t.UnixNano())
	return c
}

func (c *testClock) now() time.Time { return time.Unix(0, c.unix.Load()).UTC() }

func (c *testClock) advance(d time.Duration) { c.unix.Add(int64(d)) }
