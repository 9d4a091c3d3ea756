package management

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// TestApicurioRoleMappings replays what Apicurio Registry's clients do.
func TestApicurioRoleMappings(t *testing.T) {
	s := newStage(t)
	const all = "/admin/roleMappings"
	if got := s.admin("GET", all, nil).want(200); strings.TrimSpace(string(got.body)) != `{"count":0,"roleMappings":[]}` {
		t.Errorf("%s", got.body)
	}
	s.admin("POST", all, `{"principalId":"alice","role":"ADMIN","principalName":"Alice"}`).want(204)
	s.admin("POST", all, `{"principalId":"user:alice","role":"READ_ONLY"}`).want(409, CodeExists)
	s.admin("POST", all, `{"principalId":"bob","role":"OWNER"}`).want(422, CodeInvalid)
	s.admin("POST", all, `{"principalId":"group:dev","role":"DEVELOPER"}`).want(204)
	if got := s.admin("GET", all+"/alice", nil).want(200); strings.TrimSpace(string(got.body)) != `{"principalId":"alice","role":"ADMIN","principalName":"Alice"}` {
		t.Errorf("%s", got.body)
	}
	s.admin("PUT", all+"/alice", `{"role":"READ_ONLY"}`).want(204)
	s.admin("PUT", all+"/carol", `{"role":"READ_ONLY"}`).want(404, CodeNotFound)
	var page ApicurioMappings
	s.admin("GET", all+"?limit=1&offset=1", nil).want(200).into(&page)
	if page.Count != 2 || len(page.RoleMappings) != 1 || page.RoleMappings[0].PrincipalID != "alice" || page.RoleMappings[0].Role != "READ_ONLY" {
		t.Errorf("%+v", page)
	}
	for _, q := range []string{"?limit=-1", "?limit=501", "?offset=x"} {
		s.admin("GET", all+q, nil).want(422, CodeInvalid)
	}
	// What Apicurio does not know is kept when it changes the role.
	s.admin("PUT", "/role-mappings/group:dev", `{"role":"maintainer","patterns":["a/**"],"not_after":"2030-01-01T00:00:00Z"}`).want(200)
	if got := s.admin("GET", all+"/group:dev", nil).want(200).text("role"); got != "DEVELOPER" {
		t.Errorf("maintainer shows as %s", got)
	}
	s.admin("PUT", all+"/group:dev", `{"role":"READ_ONLY"}`).want(204)
	if got := s.admin("GET", "/role-mappings/group:dev", nil).want(200); got.text("role") != "sr-readonly" || got.text("not_after") != "2030-01-01T00:00:00Z" {
		t.Errorf("%s", got.body)
	}
	s.admin("DELETE", all+"/alice", nil).want(204)
	s.admin("DELETE", all+"/alice", nil).want(404)

	// Only administrators, and only if it is on.
	s.call("alice", "GET", all, nil).want(403, CodeForbidden)
	s.call("alice", "POST", all, `{"principalId":"alice","role":"ADMIN"}`).want(403, CodeForbidden)
	s.call("root", "GET", all, nil).want(200)
	off := newStage(t, func(o *Options) { o.Config.NoRoleMappings = true })
	off.admin("GET", all, nil).want(403, CodeForbidden)
}

// TestRoleMappingsAreChecked has every field refused by its name.
func TestRoleMappingsAreChecked(t *testing.T) {
	s := newStage(t)
	for body, field := range map[string]string{
		`{"principal":"user:x:y","role":"guest"}`:                                  "",
		`{"principal":"nobody:x:","role":"guest"}`:                                 "principal",
		`{"principal":"staff","role":"guest"}`:                                     "principal",
		`{"principal":"authenticated","role":"guest"}`:                             "principal",
		`{"principal":"claim:x","role":"guest"}`:                                   "principal",
		`{"principal":"group:","role":"guest"}`:                                    "principal",
		`{"principal":"user:a","role":"gast"}`:                                     "role",
		`{"principal":"user:a","role":"guest","patterns":["A"]}`:                   "patterns[0]",
		`{"principal":"user:a","role":"guest","not_after":"2001-01-01T00:00:00Z"}`: "not_after",
		`{"principal":"user:` + strings.Repeat("a", 600) + `","role":"guest"}`:     "principal",
		`{"principal":"user:a","role":"guest","note":1}`:                           "note",
	} {
		got := s.admin("POST", "/role-mappings", body)
		if field == "" {
			got.want(201)
			continue
		}
		if p := got.want(422, CodeInvalid).problem(); p.Errors[0].Field != field {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	made := s.admin("PUT", "/role-mappings/group:x", `{"role":"guest"}`).want(201)
	s.admin("PUT", "/role-mappings/group:x", `{"role":"developer"}`, "If-Match", made.header.Get("ETag")).want(200)
	s.admin("PUT", "/role-mappings/group:x", `{"role":"admin"}`, "If-Match", made.header.Get("ETag")).want(412)
	s.admin("POST", "/role-mappings", `{"principal":"group:x","role":"guest"}`).want(409, CodeExists)
}

// TestPolicyRecords has stored records decide, and broken ones not.
func TestPolicyRecords(t *testing.T) {
	s := newStage(t)
	s.admin("POST", "/projects", `{"name":"team-c","patterns":["team-c/**"],"immutable":["v*"],"members":[{"subject":"group:c","role":"developer"}]}`).want(201)
	s.admin("POST", "/role-mappings", `{"principal":"user:carol","role":"ADMIN"}`).want(201)
	s.admin("POST", "/role-mappings", `{"principal":"user:dave","role":"developer","patterns":["shared/**"],"not_after":"2026-03-01T12:00:30Z"}`).want(201)
	s.admin("PUT", "/projects/team-b/read-only", `{"read_only":true}`).want(200)

	compile := func() (*authz.Policy, Records) {
		t.Helper()
		r := PolicyRecords(s.state, rules, Config{})
		p, err := authz.Compile(r.Add(rules))
		if err != nil {
			t.Fatal(err)
		}
		return p, r
	}
	policy, records := compile()
	if len(records.Problems) > 0 {
		t.Errorf("%v", records.Problems)
	}
	user := func(name string, groups ...string) *authn.Principal {
		return &authn.Principal{Kind: authn.KindUser, Name: name, Groups: groups}
	}
	decide := func(p *authn.Principal, action authz.Action, repository, tag string) authz.Decision {
		return policy.Decide(p, &authz.Query{Action: action, Repository: repository, Tag: tag, Time: s.clock.now()})
	}
	for _, c := range []struct {
		who        *authn.Principal
		action     authz.Action
		repository string
		allowed    bool
		reason     string
	}{
		{user("x", "c"), authz.Push | authz.Overwrite, "team-c/app", true, "stored project team-c"},
		{user("x"), authz.Pull, "team-c/app", false, ""},
		{user("carol"), authz.Delete, "anything", true, "stored role mapping user:carol"},
		{user("dave"), authz.Push, "shared/app", true, "stored role mapping user:dave"},
		{user("dave"), authz.Push, "other/app", false, ""},
		{user("alice"), authz.Pull, "team-b/app", true, ""},
		{user("carol"), authz.Push, "team-b/app", false, "read-only switch of project team-b"},
	} {
		d := decide(c.who, c.action, c.repository, "")
		if d.Allowed != c.allowed || !strings.Contains(d.Reason(), c.reason) {
			t.Errorf("%s %s %s: %v, %s", c.who, c.action, c.repository, d.Allowed, d.Reason())
		}
	}
	if d := decide(user("x", "c"), authz.Overwrite|authz.Push, "team-c/app", "v1"); d.Allowed || d.Rule == nil || d.Rule.Kind != authz.RuleImmutable {
		t.Errorf("an immutable tag: %+v", d)
	}
	s.clock.advance(30 * time.Second)
	if decide(user("dave"), authz.Push, "shared/app", "").Allowed {
		t.Error("a mapping holds after its end, to the second")
	}
	s.clock.advance(-time.Second)
	if !decide(user("dave"), authz.Push, "shared/app", "").Allowed {
		t.Error("a mapping ends early")
	}

	// Records that another version has written are problems, one by one.
	breakRecords(s)
	policy, records = compile()
	if len(records.Problems) != 4 {
		t.Errorf("%v", records.Problems)
	}
	if decide(user("eve"), authz.Pull, "x", "").Allowed || !decide(user("carol"), authz.Pull, "x", "").Allowed {
		t.Error("one broken record takes the others along, or gives what it would")
	}
	if d := decide(user("carol"), authz.Push|authz.Overwrite, "frozen/app", ""); d.Allowed {
		t.Error("a project whose members cannot be used is no longer read-only")
	}
	s.admin("PUT", "/read-only", `{"read_only":true}`).want(200)
	if policy, _ = compile(); decide(user("carol"), authz.Push, "x", "").Allowed {
		t.Error("read-only is on and writes go on")
	}
	if r := PolicyRecords(s.state, rules, Config{NoRoleMappings: true}); len(r.Admins) > 0 {
		t.Error("role mappings are off and count")
	}
}

// breakRecords writes what no operation would.
func breakRecords(s *stage) {
	s.t.Helper()
	var tx state.Tx
	state.Put(&tx, s.state.RoleMappings, "user:eve", &state.RoleMapping{Principal: "user:eve", Role: "of a later version"}, state.Absent)
	state.Put(&tx, s.state.Projects, "team-a", &state.Project{Name: "team-a", Patterns: []string{"**"}}, state.Absent)
	// One that is called by its patterns, as another one is called.
	state.Put(&tx, s.state.Projects, "nameless", &state.Project{Patterns: []string{"nameless/**"}}, state.Absent)
	state.Put(&tx, s.state.Projects, "odd", &state.Project{Name: "nameless/**", Patterns: []string{"odd/**"}}, state.Absent)
	state.Put(&tx, s.state.Projects, "frozen", &state.Project{
		Name: "frozen", Patterns: []string{"frozen/**"}, ReadOnly: true, Members: []authz.Grant{{Role: "nothing", Subjects: []string{"anyone"}}},
	}, state.Absent)
	if err := s.state.Commit(s.t.Context(), &tx); err != nil {
		s.t.Fatal(err)
	}
}
