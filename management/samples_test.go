package management

import (
	"cmp"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// sample is a call of an operation that is good on a stage that [prepare] has
// prepared, and ways in which it is not.
type sample struct {
	path    string
	body    string // empty: none
	missing string // the path where there is no such thing; empty: there is no such path
	slow    string // a body for which a slow hash is computed; empty: there is none
	as      string // who calls; empty: an administrator's key
}

// samples has one call for each operation that needs a credential. The
// operations of other files are added there.
var samples = map[string]sample{
	"whoAmI":         {path: "/whoami"},
	"listRobots":     {path: "/robots"},
	"createRobot":    {path: "/robots", body: `{"name":"new"}`, slow: `{"name":"new","secret":"Chosen-Secret-1"}`},
	"getRobot":       {path: "/robots/ci", missing: "/robots/none"},
	"putRobot":       {path: "/robots/ci", body: `{"description":"x"}`, slow: `{"secret":"Chosen-Secret-1"}`},
	"changeRobot":    {path: "/robots/ci", body: `{"description":"y"}`, slow: `{"secret":"Chosen-Secret-1"}`, missing: "/robots/none"},
	"deleteRobot":    {path: "/robots/ci", missing: "/robots/none"},
	"rotateRobot":    {path: "/robots/ci/rotate", body: `{"overlap_seconds":1}`, slow: `{"secret":"Chosen-Secret-1"}`, missing: "/robots/none/rotate"},
	"endRobotSecret": {path: "/robots/ci/secrets/aaaaaaaaaaaa", missing: "/robots/ci/secrets/none"},
}

// prepares makes what the samples are about.
var prepares = []func(s *stage){prepareRobots}

func prepareRobots(s *stage) {
	hash := func(id string) string { return "sha256:" + id + ":" + strings.Repeat("A", 43) }
	s.admin("PUT", "/robots/ci", `{"secret_hash":"`+hash("aaaaaaaaaaaa")+`"}`).want(201)
	s.admin("POST", "/robots/ci/rotate", `{"secret_hash":"`+hash("bbbbbbbbbbbb")+`"}`).want(200)
}

func prepare(t *testing.T, change ...func(*Options)) *stage {
	t.Helper()
	s := newStage(t, append(change, ring(t))...)
	for _, p := range prepares {
		p(s)
	}
	return s
}

// keyWith stores a key with some scopes and returns it.
func (s *stage) keyWith(scopes ...string) string {
	s.t.Helper()
	secret, stored := authn.NewSecret(authn.SecretAPIKey)
	parsed, err := authn.ParseSecret(secret)
	if err != nil {
		s.t.Fatal(err)
	}
	var tx state.Tx
	state.Put(&tx, s.state.APIKeys, parsed.ID, &state.APIKey{Name: "key-" + parsed.ID, Hash: stored, Scopes: scopes, Created: s.clock.now()}, state.Absent)
	if err := s.state.Commit(s.t.Context(), &tx); err != nil {
		s.t.Fatal(err)
	}
	return secret
}

// TestEveryOperation calls each in the ways in which all can fail, and then
// well.
func TestEveryOperation(t *testing.T) {
	s := prepare(t)
	useless := s.keyWith(string(ScopePolicyExplain))
	for i := range s.api.routes {
		r := &s.api.routes[i]
		if r.open {
			continue
		}
		x, ok := samples[r.id]
		if !ok {
			t.Errorf("operation %s has no sample", r.id)
			continue
		}
		var body any
		if x.body != "" {
			body = x.body
		}
		as := x.as
		if as == "" {
			as = adminKey
		}
		call := func(as, path string, body any, header ...string) seen {
			t.Helper()
			return s.call(as, r.method, path, body, header...)
		}
		call("", x.path, body).want(401, CodeUnauthenticated)
		if r.scope != "" || hasCode(r, CodeScope) {
			if r.scope != ScopePolicyExplain {
				call(useless, x.path, body).want(403, CodeScope)
			}
		}
		if r.body != nil {
			call(as, x.path, `{"no such field":1}`).want(422, CodeInvalid)
			call(as, x.path, `{`).want(400, CodeMalformed)
			call(as, x.path, `{"x":"`+strings.Repeat("x", int(cmp.Or(r.maxBody, maxBody)))+`"}`).want(413, CodeTooLarge)
		} else if r.changes() {
			call(as, x.path, `{"a":1}`).want(400, CodeMalformed)
		}
		if r.changes() {
			call(as, x.path, body, "Content-Type", "text/plain").want(415, CodeUnsupportedMedia)
			call(as, x.path, body, "Sec-Fetch-Site", "cross-site").want(403, CodeCrossSite)
			call(as, x.path, body, "Origin", "https://evil.example").want(403, CodeCrossSite)
			call(as, x.path, body, "Early-Data", "1").want(425, CodeTooEarly)
		}
		if len(r.query) > 0 {
			call(as, x.path+"?nothing=1", body).want(422, CodeInvalid)
		}
		if x.missing != "" {
			call(as, x.missing, body).want(404, CodeNotFound)
		}
		if r.changes() && r.versioned && r.takesMatch() {
			call(as, x.path, body, "If-Match", `"999999"`).want(412, CodeStale)
			call(as, x.path, body, "If-Match", `new`).want(400, CodeMalformed)
		}
		if r.changes() {
			s.store.Fail("apply", store.ErrUnavailable)
			if got := call(as, x.path, body).want(503, CodeUnavailable); got.header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", r.id)
			}
			s.store.Fail("apply", nil)
		}
		if hasCode(r, CodeConflict) && r.changes() {
			s.store.Fail("apply", store.ErrConflict)
			call(as, x.path, body).want(409)
			s.store.Fail("apply", nil)
		}
	}
	// Nothing of this has changed anything: each is still good.
	for i := range s.api.routes {
		r := &s.api.routes[i]
		x, ok := samples[r.id]
		if r.open || !ok {
			continue
		}
		one := prepare(t) // what others deleted is there again
		var body any
		if x.body != "" {
			body = x.body
		}
		if x.as == "" {
			x.as = adminKey
		}
		if r.method == http.MethodGet && r.versioned {
			if tag := one.call(x.as, r.method, x.path, nil).header.Get("ETag"); tag != "" {
				one.call(x.as, r.method, x.path, nil, "If-None-Match", tag).want(304)
			}
		}
		if got := one.call(x.as, r.method, x.path, body); got.status != r.status && (!r.created || got.status != http.StatusCreated) {
			t.Errorf("%s: %d: %s", r.id, got.status, got.body)
		}
	}
}

// TestBusy has every slow hash wait in vain.
func TestBusy(t *testing.T) {
	pool := authn.NewHashPool(1)
	s := prepare(t, func(o *Options) { o.Pool = pool })
	hold, held := make(chan struct{}), make(chan struct{})
	go func() { _ = pool.Do(t.Context(), authn.Claimant{}, func() bool { close(held); <-hold; return true }) }()
	<-held
	defer close(hold)
	var all sync.WaitGroup
	for i := range s.api.routes {
		r := &s.api.routes[i]
		if x := samples[r.id]; x.slow != "" {
			all.Go(func() {
				if got := s.admin(r.method, x.path, x.slow); got.status != 429 {
					t.Errorf("%s: %d: %s", r.id, got.status, got.body)
				}
			})
		}
	}
	all.Wait()
}

func hasCode(r *route, code Code) bool {
	for _, c := range r.failures() {
		if c == code {
			return true
		}
	}
	return false
}

var aliceID = people["alice"].Identity().ID()

func init() {
	mapping := `{"role":"developer","patterns":["team-c/**"]}`
	for id, x := range map[string]sample{
		"listRoleMappings":          {path: "/role-mappings"},
		"createRoleMapping":         {path: "/role-mappings", body: `{"principal":"user:new","role":"ADMIN"}`},
		"getRoleMapping":            {path: "/role-mappings/group:dev", missing: "/role-mappings/group:none"},
		"putRoleMapping":            {path: "/role-mappings/group:dev", body: mapping},
		"deleteRoleMapping":         {path: "/role-mappings/group:dev", missing: "/role-mappings/none"},
		"listApicurioRoleMappings":  {path: "/admin/roleMappings"},
		"createApicurioRoleMapping": {path: "/admin/roleMappings", body: `{"principalId":"carol","role":"DEVELOPER"}`},
		"getApicurioRoleMapping":    {path: "/admin/roleMappings/group:dev", missing: "/admin/roleMappings/none"},
		"putApicurioRoleMapping":    {path: "/admin/roleMappings/group:dev", body: `{"role":"READ_ONLY"}`, missing: "/admin/roleMappings/none"},
		"deleteApicurioRoleMapping": {path: "/admin/roleMappings/group:dev", missing: "/admin/roleMappings/none"},

		"listProjects":       {path: "/projects"},
		"createProject":      {path: "/projects", body: `{"name":"new","patterns":["new/**"]}`},
		"getProject":         {path: "/projects/team-c", missing: "/projects/none"},
		"putProject":         {path: "/projects/team-c", body: `{"patterns":["team-c/**"]}`},
		"deleteProject":      {path: "/projects/team-c", missing: "/projects/none"},
		"putMember":          {path: "/projects/team-c/members/user:bob", body: `{"role":"developer"}`, missing: "/projects/none/members/user:bob"},
		"deleteMember":       {path: "/projects/team-c/members/user:alice", missing: "/projects/team-c/members/user:none"},
		"getReadOnly":        {path: "/read-only"},
		"setReadOnly":        {path: "/read-only", body: `{"read_only":true}`},
		"getProjectReadOnly": {path: "/projects/team-c/read-only", missing: "/projects/none/read-only"},
		"setProjectReadOnly": {path: "/projects/team-c/read-only", body: `{"read_only":true,"reason":"move"}`, missing: "/projects/none/read-only"},

		"listOwners":    {path: "/owners"},
		"getOwner":      {path: "/owners/team-c%2Fapp", missing: "/owners/none"},
		"transferOwner": {path: "/owners/team-c%2Fapp", body: `{"principal":"robot:ci"}`},
		"deleteOwner":   {path: "/owners/team-c%2Fapp", missing: "/owners/none"},

		"listUsers":   {path: "/users"},
		"getUser":     {path: "/users/" + aliceID, missing: "/users/none"},
		"disableUser": {path: "/users/" + aliceID + "/disable", missing: "/users/none/disable"},
		"enableUser":  {path: "/users/" + people["bob"].Identity().ID() + "/enable", missing: "/users/none/enable"},
		"signOutUser": {path: "/users/" + aliceID + "/sign-out", missing: "/users/none/sign-out"},
		"forgetUser":  {path: "/users/" + aliceID, missing: "/users/none"},

		"listRevocations":    {path: "/revocations"},
		"revoke":             {path: "/revocations", body: `{"token":"jti-1"}`},
		"listSigningKeys":    {path: "/signing-keys"},
		"rotateSigningKeys":  {path: "/signing-keys/rotate"},
		"revokeSigningKeys":  {path: "/signing-keys/revoke-all"},
		"listAuditEvents":    {path: "/audit"},
		"exportAuditEvents":  {path: "/audit/export"},
		"explain":            {path: "/explain?principal=user:alice&action=push&repository=team-a/app"},
		"whoCan":             {path: "/who-can?action=push&repository=team-a/app"},
		"export":             {path: "/export"},
		"exportInstallation": {path: "/export/distribution", missing: "/export/nothing"},
		"import":             {path: "/import", body: `{"version":1,"projects":[{"name":"imported","patterns":["imported/**"]}]}`},
	} {
		samples[id] = x
	}
	prepares = append(prepares, prepareRest)
}

func prepareRest(s *stage) {
	for _, p := range people {
		s.see(p)
	}
	s.admin("POST", "/role-mappings", `{"principal":"group:dev","role":"guest"}`).want(201)
	s.admin("POST", "/projects", `{"name":"team-c","patterns":["team-c/**"],"members":[{"subject":"user:alice","role":"project_admin"}]}`).want(201)
	s.admin("PUT", "/read-only", `{"read_only":false}`).want(200)
	s.admin("PUT", "/projects/team-c/read-only", `{"read_only":false}`).want(200)
	s.admin("PUT", "/owners/team-c%2Fapp", `{"principal":"user:alice"}`).want(201)
	s.admin("POST", "/users/"+people["bob"].Identity().ID()+"/disable", nil).want(200)
}

// ring makes the signing keys of a stage.
func ring(t *testing.T) func(*Options) {
	t.Helper()
	keys, err := keys.Open(t.Context(), keys.NewMemoryStore(), keys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Keys = func() SigningKeys { return keys } }
}

// bootstrapped is a stage with a bootstrap that is open.
func bootstrapped(t *testing.T) *stage {
	t.Helper()
	s := newStage(t, func(o *Options) {
		o.Config.APIKeys, o.StaticKeys = nil, nil
	})
	b, err := NewBootstrap(BootstrapOptions{Manager: s.manager, Config: BootstrapConfig{Secret: "{env.X}"}, Secret: strings.Repeat("s3cret-", 6), Directory: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.api.options.Bootstrap = b
	s.api, err = NewAPI(s.manager, s.api.options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBootstrapRoutes(t *testing.T) {
	s := bootstrapped(t)
	s.call("", "GET", "/bootstrap", nil).want(204)
	for body, want := range map[string]int{`{`: 400, `{}`: 401, `{"secret":1}`: 422, `{"secret":"x","key":"short"}`: 401} {
		s.call("", "POST", "/bootstrap", body).want(want)
	}
	s.call("", "POST", "/bootstrap", `{}`, "Content-Type", "text/plain").want(415)
	s.call("", "POST", "/bootstrap", `{"secret":"`+strings.Repeat("x", maxBody)+`"}`).want(413)
	good := `{"secret":"` + strings.Repeat("s3cret-", 6) + `"}`
	s.store.Fail("apply", store.ErrUnavailable)
	s.call("", "POST", "/bootstrap", good).want(503, CodeUnavailable)
	s.store.Fail("apply", nil)
	for range 12 {
		s.call("", "POST", "/bootstrap", `{"secret":"`+time.Now().String()+`"}`)
	}
	if got := s.call("", "POST", "/bootstrap", `{"secret":"guess"}`).want(429, CodeBusy); got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	made := s.call("", "POST", "/bootstrap", good).want(201)
	s.call(made.text("key"), "GET", "/whoami", nil).want(200)
	s.call("", "POST", "/bootstrap", good).want(409, CodeConflict)
	s.call("", "GET", "/bootstrap", nil).want(404, CodeNotFound)
}
