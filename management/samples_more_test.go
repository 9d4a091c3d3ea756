package management

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

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
