package cli

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/client"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// adminKey is a key of the configuration that is good for everything.
const adminKey = "static-admin-key-0123456789-0123456789"

// stage is a gateway without Caddy: the real management API in front of a state
// in memory, once as people reach it and once as the machine itself does.
type stage struct {
	t       *testing.T
	store   *faultstore.Store
	state   *state.State
	manager *management.Manager
	gateway *httptest.Server // https://host of a gateway
	admin   *httptest.Server // Caddy's administration endpoint
	clock   *testClock
	env     map[string]string
	stdin   string
	dir     string
	fakes   map[string]string
}

var people = map[string]*authn.Principal{
	"alice": {Kind: authn.KindUser, Name: "alice", Issuer: "https://sso.example.com", Subject: "1", Groups: []string{"team-a"}, Authenticator: "oidc", Credential: "id_token"},
	"bob":   {Kind: authn.KindUser, Name: "bob", Issuer: "https://sso.example.com", Subject: "2", Groups: []string{"team-b"}, Authenticator: "oidc", Credential: "id_token"},
}

var rules = authz.Config{
	Admins:   []authz.Admin{{Subjects: []string{"user:root"}}},
	Projects: []authz.Project{{Name: "base", Patterns: []string{"base/**"}, Grants: []authz.Grant{{Role: "guest", Subjects: []string{"authenticated"}}}}},
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{
		t: t, store: faultstore.Wrap(memstore.New()), clock: newTestClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
		env: map[string]string{}, dir: t.TempDir(), fakes: map[string]string{},
	}
	now := s.clock.now
	var err error
	s.state, err = state.Open(t.Context(), s.store, "default", state.Options{Now: now})
	must(t, err)
	t.Cleanup(s.state.Close)
	compiled, err := authz.Compile(rules)
	must(t, err)
	policy := compiled.With(s.state)
	stored, err := s.state.OpenKeyring(t.Context(), nil, nil)
	must(t, err)
	keys, err := keys.Open(t.Context(), stored, keys.Config{Now: now})
	must(t, err)
	_, hash := authn.NewSecret(authn.SecretRobot)
	s.manager, err = management.New(management.Options{
		State: s.state, Policy: func() *authz.Policy { return policy }, Now: now,
		Keys: func() management.SigningKeys { return keys },
		Declared: management.Declared{
			Robots:   []management.DeclaredRobot{{RobotConfig: authn.RobotConfig{Name: "backup", SecretHashes: []string{hash}}, Source: "Caddyfile:7"}},
			Projects: []management.DeclaredProject{{Project: rules.Projects[0]}},
		},
		Config:     management.Config{APIKeys: []management.StaticKeyConfig{{Name: "ops", Key: "{env.KEY}", Scopes: []string{"robots:write", "projects:write", "audit:read"}, Source: "Caddyfile:3"}}},
		StaticKeys: []string{adminKey},
	})
	must(t, err)
	bootstrap, err := management.NewBootstrap(management.BootstrapOptions{Manager: s.manager, Directory: s.dir, Host: "gateway"})
	must(t, err)
	chain := authn.NewChain([]authn.Member{authn.NewMember(state.TokensName, authn.NewIssued(authn.SecretPersonalToken, s.state, now))}, nil)
	remote := func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") }
	api, err := management.NewAPI(s.manager, management.APIOptions{
		Bootstrap: bootstrap, Remote: remote,
		Authenticate: func(r *http.Request) (*authn.Principal, error) {
			secret := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if p, ok := people[secret]; ok {
				return p, nil
			}
			c, err := authn.FromHeader(r.Header, remote(r))
			if err != nil {
				return nil, err
			}
			return chain.Authenticate(r.Context(), c)
		},
	})
	must(t, err)
	local, err := management.NewAPI(s.manager, management.APIOptions{
		Bootstrap: bootstrap, Remote: func(*http.Request) netip.Addr { return netip.MustParseAddr("127.0.0.1") },
		Local: management.Local("local", "admin"), Prefix: client.LocalPrefix + "default",
	})
	must(t, err)
	s.gateway = httptest.NewServer(api)
	t.Cleanup(s.gateway.Close)
	mux := http.NewServeMux()
	mux.Handle(client.LocalPrefix+"default/", local)
	mux.HandleFunc(client.LocalPrefix+"{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"realms":["default"]}`))
	})
	s.admin = httptest.NewServer(mux)
	t.Cleanup(s.admin.Close)
	for _, p := range people {
		s.see(p)
	}
	_, hash = authn.NewSecret(authn.SecretIdentityToken)
	var tx state.Tx
	state.Put(&tx, s.state.IdentityTokens, "q3ehx2mzkw7d", &state.IdentityToken{
		User: people["alice"].Identity().ID(), Hash: hash, Service: "registry.example.com", ClientID: "docker", Remote: "192.0.2.44",
		Created: now(), Expires: now().Add(90 * 24 * time.Hour),
	}, state.Absent)
	must(t, s.state.Commit(t.Context(), &tx))
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// see records a person, as the gateway does who authenticated one.
func (s *stage) see(p *authn.Principal) {
	id, u, before, _ := s.state.See(p)
	var tx state.Tx
	s.state.PutUser(&tx, id, u, before)
	must(s.t, s.state.Commit(s.t.Context(), &tx))
}
