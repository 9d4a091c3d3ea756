package management

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

func TestProjectAdminsManageTheirOwn(t *testing.T) {
	s := newStage(t)
	// A stored project under what alice manages by the configuration, one not.
	s.admin("POST", "/projects", `{"name":"mine","patterns":["team-a/web/**"],"members":[{"subject":"group:web","role":"guest"}]}`).want(201)
	s.admin("POST", "/projects", `{"name":"other","patterns":["other/**"]}`).want(201)
	s.admin("POST", "/projects", `{"name":"other","patterns":["other/**"]}`).want(409, CodeExists)
	s.admin("PUT", "/projects/third", `{"patterns":["third/**"]}`).want(201)

	member := "/projects/mine/members/user:bob"
	s.call("alice", "PUT", member, `{"role":"developer"}`).want(201)
	s.call("alice", "PUT", member, `{"role":"maintainer"}`).want(200)
	got := s.call("alice", "GET", "/projects/mine", nil).want(200)
	if text := string(got.body); strings.Count(text, "user:bob") != 1 || !strings.Contains(text, "maintainer") {
		t.Errorf("%s", text)
	}
	s.call("alice", "PUT", "/projects/mine/read-only", `{"read_only":true}`).want(200)
	s.call("alice", "DELETE", member, nil).want(204)
	s.call("alice", "DELETE", member, nil).want(404)
	s.call("alice", "PUT", member, `{"role":"boss"}`).want(422, CodeInvalid)
	s.call("alice", "PUT", member, `{"actions":["pull"],"from":["x"]}`).want(422, CodeInvalid)

	// Not the project itself, no other project, and nothing declared.
	s.call("alice", "PUT", "/projects/mine", `{"patterns":["**"]}`).want(403, CodeForbidden)
	s.call("alice", "DELETE", "/projects/mine", nil).want(403, CodeForbidden)
	s.call("alice", "POST", "/projects", `{"name":"new","patterns":["team-a/new/**"]}`).want(403, CodeForbidden)
	for _, path := range []string{"/projects/other", "/projects/other/read-only", "/projects/none"} {
		s.call("alice", "GET", path, nil).want(404, CodeNotFound)
	}
	s.call("alice", "PUT", "/projects/other/members/user:alice", `{"role":"project_admin"}`).want(404)
	s.call("alice", "PUT", "/projects/team-a/members/user:bob", `{"role":"guest"}`).want(409, CodeDeclared)
	s.admin("PUT", "/projects/team-a", `{"patterns":["x/**"]}`).want(409, CodeDeclared)
	s.call("bob", "GET", "/projects/team-a", nil).want(404)
	s.call("alice", "GET", "/read-only", nil).want(403, CodeForbidden)
	if got := s.call("alice", "GET", "/projects", nil).want(200); strings.Contains(string(got.body), "other") || !strings.Contains(string(got.body), "team-a") {
		t.Errorf("%s", got.body)
	}
	// A project with robots stays.
	s.admin("PUT", "/robots/mine+ci", `{}`).want(201)
	s.admin("DELETE", "/projects/mine", nil).want(409, CodeConflict)
	s.admin("DELETE", "/robots/mine+ci", nil).want(204)
	s.admin("DELETE", "/projects/mine", nil).want(204)
	if _, ok := s.state.Settings.Get("read_only/mine"); ok {
		t.Error("the switch of the deleted project is left")
	}
	for body, field := range map[string]string{
		`{"name":"Bad","patterns":["a"]}`:                                          "name",
		`{"name":"a","patterns":[]}`:                                               "patterns",
		`{"name":"a","patterns":["A"]}`:                                            "patterns[0]",
		`{"name":"a","patterns":["a","a"]}`:                                        "",
		`{"name":"a","patterns":["a"],"members":[{"subject":"x","role":"guest"}]}`: "members[0]",
		`{"name":"a","patterns":["a"],"members":[{"subject":"user:x","role":"guest"},{"subject":"user:x","role":"developer"}]}`: "members[1]",
		`{"name":"a","patterns":["a"],"members":[{"subject":"user:x","role":"guest","when":"1 +"}]}`:                            "members[0]",
	} {
		p := s.admin("POST", "/projects", body).want(422, CodeInvalid).problem()
		if field != "" && (len(p.Errors) == 0 || p.Errors[0].Field != field) {
			t.Errorf("%s: %+v", body, p)
		}
	}
}

func TestOwners(t *testing.T) {
	s := newStage(t)
	for _, p := range people {
		s.see(p)
	}
	app := "/owners/lib%2Fapp"
	s.call("alice", "PUT", app, `{"principal":"user:alice"}`).want(404) // nobody's, and not for the taking
	s.admin("PUT", app, `{"principal":"user:alice"}`).want(201)
	s.call("bob", "GET", app, nil).want(404)
	s.call("bob", "PUT", app, `{"principal":"user:bob"}`).want(404)
	s.call("alice", "GET", app, nil).want(200)
	s.call("alice", "PUT", app, `{"principal":"user:bob"}`).want(200)
	s.call("alice", "GET", app, nil).want(404)
	if got := s.call("bob", "GET", "/owners?prefix=lib/", nil).want(200); !strings.Contains(string(got.body), "lib/app") {
		t.Errorf("%s", got.body)
	}
	s.call("bob", "DELETE", app, nil).want(403)
	for body, field := range map[string]string{
		`{"principal":"user:nobody"}`:                                  "principal",
		`{"principal":"group:dev"}`:                                    "principal",
		`{"principal":"alice"}`:                                        "principal",
		`{"principal":"user:alice","identity":"` + aliceID[:10] + `"}`: "identity",
		`{"principal":"user:bob","identity":"` + aliceID + `"}`:        "identity",
	} {
		if p := s.admin("PUT", app, body).want(422, CodeInvalid).problem(); p.Errors[0].Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	// What is recorded is what the policy asks for, of repositories and of
	// namespaces, which have a slash at their end.
	s.admin("PUT", "/owners/lib%2F", `{"principal":"user:alice"}`).want(201)
	for by, want := range map[authz.OwnedBy]string{authz.OwnedRepository: "user:bob", authz.OwnedNamespace: "user:alice"} {
		if o := s.state.Owner(by, by.Of("lib/app")); o == nil || o.Principal != want {
			t.Errorf("the %s lib/app is in is owned by %+v, want %s", by, o, want)
		}
	}
	if got := s.admin("GET", "/export", nil).want(200); !strings.Contains(string(got.body), "lib/app") || strings.Contains(string(got.body), "repository/lib") {
		t.Errorf("exported: %s", got.body)
	}
	s.admin("DELETE", "/owners/lib%2F", nil).want(204)
	s.admin("PUT", "/owners/lib%2Fapp%2F", `{"principal":"robot:ci"}`).want(422)
	s.admin("PUT", "/owners/Bad", `{"principal":"robot:ci"}`).want(422)
	s.admin("DELETE", app, nil).want(204)
}

// TestMemberRole: another role leaves what restricts a member.
func TestMemberRole(t *testing.T) {
	s := newStage(t)
	s.admin("PUT", "/projects/web", `{"patterns":["web/**"],"members":[{"subject":"user:bob","actions":["pull"],"from":["10.0.0.0/8"],"when":"request.method != \"PUT\""},{"subject":"user:carol","role":"guest"}]}`).want(201)
	who := Local("local", "admin")
	for subject, role := range map[string]string{"user:bob": "developer", "user:alice": "guest"} {
		if err := s.manager.SetMemberRole(t.Context(), who, "web", subject, role); err != nil {
			t.Fatal(err)
		}
	}
	var p Project
	s.admin("GET", "/projects/web", nil).want(200).into(&p)
	members := map[string]Member{}
	for _, m := range p.Members {
		members[m.Subject] = m
	}
	bob := members["user:bob"]
	if len(p.Members) != 3 || bob.Role != "developer" || bob.Actions != nil || len(bob.From) != 1 || bob.When == "" {
		t.Errorf("%+v", p.Members)
	}
	if members["user:alice"].Role != "guest" || members["user:carol"].Role != "guest" {
		t.Errorf("%+v", p.Members)
	}
}
