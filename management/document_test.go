package management

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// imports sends lists of a document as an administrator.
func (s *stage) imports(query, lists string) seen {
	s.t.Helper()
	return s.admin("POST", "/import"+query, `{"version":1,`+lists+`}`)
}

// TestDocumentsAreChecked has what a document must not say refused by the name
// of its field, with nothing of it done.
func TestDocumentsAreChecked(t *testing.T) {
	s := newStage(t)
	_, hash := authn.NewSecret(authn.SecretAPIKey)
	key := func(members string) string { return `"api_keys":[{"name":"k","scopes":["*"]` + members + `}]` }
	for lists, field := range map[string]string{
		`"projects":[{"name":"web","patterns":["web/**"],"members":[{"subject":"group:x","role":"none such"}]}]`: "projects[0]",
		`"projects":[{"name":"web","patterns":["web/**"],"immutable":["["]}]`:                                    "projects[0]",
		`"projects":[{"name":"Web","patterns":["web/**"]}]`:                                                      "projects[0].name",
		`"role_mappings":[{"principal":"user:x","role":"none such"}]`:                                            "role_mappings[0].role",
		`"robots":[{"name":"x","secret_hashes":["plain"]}]`:                                                      "robots[0]",
		`"robots":[{"name":"web+x","permissions":[{"name":"elsewhere/**","actions":["pull"]}]}]`:                 "robots[0]",
		key(``):                                  "api_keys[0].hash",
		key(`,"hash":"plain"`):                   "api_keys[0].hash",
		key(`,"id":"abc","hash":"` + hash + `"`): "api_keys[0].hash",
		key(`,"hash":"$2y$05$abcdefghijklmnopqrstuuKjVBVmDUgWVYFqxAbcSiqyVkhYrjS1e"`): "api_keys[0].hash",
		key(`,"from":["10.0.0.1/8"],"hash":"` + hash + `"`):                           "api_keys[0].from[0]",
		`"owners":[{"repository":"a/b","principal":"user:nobody"}]`:                   "owners[0].principal",
		`"owners":[{"repository":"a/b","principal":"group:dev","identity":"x"}]`:      "owners[0].principal",
		`"owners":[{"repository":"A","principal":"robot:x"}]`:                         "owners[0].repository",
	} {
		got := s.imports("", lists).want(422, CodeInvalid)
		if p := got.problem(); len(p.Errors) == 0 || !strings.HasPrefix(p.Errors[0].Field, field) {
			t.Errorf("%s: %s, want %s", lists, got.body, field)
		}
	}
	if _, err := s.manager.Import(t.Context(), Local("local", ""), &Document{Version: 2}, ImportOptions{}); err == nil {
		t.Error("another version was read")
	}
	if n := len(s.state.Projects.Sorted()) + len(s.state.Robots.Sorted()) + len(s.state.APIKeys.Sorted()) + len(s.state.Owners.Sorted()); n > 0 {
		t.Errorf("%d records were made", n)
	}
	// A robot of a project that comes with it may have what the project has.
	s.imports("", `"projects":[{"name":"web","patterns":["elsewhere/**"]}],"robots":[{"name":"web+x","permissions":[{"name":"elsewhere/**","actions":["pull"]}]}]`).want(200)
}

// TestPruningTakesWhatIsNotListed: of each list that the document has, if it is
// to, and of no other.
func TestPruningTakesWhatIsNotListed(t *testing.T) {
	s := newStage(t)
	user := s.see(people["alice"])
	s.admin("PUT", "/projects/web", `{"patterns":["web/**"]}`).want(201)
	s.admin("PUT", "/role-mappings/user:x", `{"role":"guest"}`).want(201)
	s.imports("", `"owners":[{"repository":"a/b","principal":"robot:x"}],"locked_out":[{"issuer":"https://sso","subject":"1","name":"alice"}],"read_only":true,"read_only_projects":["team-a","web"]`).want(200)
	first, _ := s.state.Users.Get(user)
	if !first.Value.Disabled || first.Value.Name != "alice" || first.Value.Last.IsZero() {
		t.Errorf("%+v", first.Value)
	}
	left := func() string {
		u, _ := s.state.Users.Get(user)
		readOnly := ""
		for _, item := range s.state.Settings.Sorted() {
			if item.Value.On {
				readOnly += " " + item.ID
			}
		}
		return fmt.Sprint(len(s.state.Projects.Sorted()), len(s.state.RoleMappings.Sorted()), len(s.state.Owners.Sorted()), u.Value.Disabled, readOnly)
	}
	all := left()
	for _, query := range []string{"", "?prune=true"} {
		s.imports(query, `"api_keys":[]`).want(200)
	}
	s.imports("", `"projects":[],"role_mappings":[],"owners":[],"locked_out":[],"read_only_projects":[]`).want(200)
	s.imports("?prune=true", `"locked_out":[{"issuer":"https://sso","subject":"1","name":"alice"}],"read_only_projects":["team-a","web"]`).want(200)
	if got := left(); got != all || !strings.HasPrefix(all, "1 1 1 true") || strings.Count(all, "/") != 2 {
		t.Fatalf("%s is left of %s", got, all)
	}
	s.imports("?prune=true", `"projects":[],"role_mappings":[],"owners":[],"locked_out":[],"read_only_projects":["team-a"],"read_only":false`).want(200)
	if got := left(); !strings.HasPrefix(got, "0 0 0 false") || strings.Count(got, "/") != 1 || !strings.Contains(got, "team-a") {
		t.Errorf("%s is left", got)
	}
	done := map[string]bool{}
	events, err := s.state.Events(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		done[e.Action] = true
	}
	for _, action := range []string{"project.delete", "role_mapping.delete", "owner.delete", "owner.import", "user.import", "setting.import"} {
		if !done[action] {
			t.Errorf("%s is not recorded", action)
		}
	}
}

// TestPrunedRobotsLeaveNothing to the next robot of their name, but what the
// document says itself.
func TestPrunedRobotsLeaveNothing(t *testing.T) {
	s := newStage(t)
	s.admin("PUT", "/projects/web", `{"patterns":["web/**"],"members":[{"subject":"robot:gone","role":"developer"},{"subject":"robot:kept","role":"developer"}]}`).want(201)
	for _, name := range []string{"gone", "kept", "named"} {
		s.admin("PUT", "/robots/"+name, `{}`).want(201)
		s.admin("PUT", "/role-mappings/robot:"+name, `{"role":"admin"}`).want(201)
	}
	s.imports("", `"owners":[{"repository":"a/b","principal":"robot:gone"}]`).want(200)
	s.imports("?prune=true", `"robots":[{"name":"kept"}],"role_mappings":[{"principal":"robot:named","role":"guest"},{"principal":"robot:kept","role":"admin"},{"principal":"robot:gone","role":"guest"}]`).want(200)
	s.admin("GET", "/role-mappings/robot:kept", nil).want(200)
	s.admin("GET", "/role-mappings/robot:named", nil).want(200)
	s.imports("?prune=true", `"robots":[{"name":"kept"}]`).want(200)
	web, _ := s.state.Projects.Get("web")
	if len(web.Value.Members) != 1 || web.Value.Members[0].Subjects[0] != "robot:kept" || len(s.state.Owners.Sorted()) != 0 {
		t.Errorf("%+v, %d owners", web.Value.Members, len(s.state.Owners.Sorted()))
	}
	s.admin("PUT", "/robots/gone", `{}`).want(201)
	s.admin("PUT", "/role-mappings/robot:gone", `{"role":"admin"}`).want(200)
	s.imports("?prune=true", `"robots":[{"name":"kept"}]`).want(200)
	s.admin("GET", "/role-mappings/robot:gone", nil).want(404)
	s.admin("GET", "/role-mappings/robot:kept", nil).want(200)
}

// TestImportedSecrets: hashes take the place of those that a robot or key has,
// and who imports them has the secret.
func TestImportedSecrets(t *testing.T) {
	s := newStage(t)
	old := s.admin("POST", "/robots", `{"name":"free"}`).want(201).text("secret")
	fresh, hash := authn.NewSecret(authn.SecretRobot)
	limited := s.admin("POST", "/keys", `{"name":"limited","scopes":["*"],"from":["192.0.2.0/24"],"expires":"2026-03-02T00:00:00Z"}`).want(201).text("secret")
	robot := func(name, more string) string { return `{"version":1,"robots":[{"name":"` + name + `"` + more + `}]}` }
	secrets := `,"secret_hashes":["` + hash + `"]`
	s.call(limited, "POST", "/import", robot("free", secrets)).want(422, CodeInvalid)
	s.call(limited, "POST", "/import", robot("new", secrets)).want(422, CodeInvalid)
	s.call(limited, "POST", "/import", robot("free", `,"description":"for longer"`)).want(422, CodeInvalid)
	s.call(old, "GET", "/whoami", nil).want(200)
	s.admin("POST", "/import", robot("free", secrets)).want(200)
	s.call(old, "GET", "/whoami", nil).want(401)
	s.call(fresh, "GET", "/whoami", nil).want(200)
	s.call(limited, "POST", "/import", robot("free", secrets)).want(200) // which changes nothing
	if r, _ := s.state.Robots.Get("free"); len(r.Value.Secrets) != 1 || r.Value.Number == 0 || r.Value.Updated.IsZero() {
		t.Errorf("%+v", r.Value)
	}
	s.admin("POST", "/import", robot("new", `,"expires":"2026-03-02T00:00:00Z"`)).want(200)
	s.clock.advance(48 * time.Hour)
	s.imports("", `"robots":[{"name":"new","disabled":true,"expires":"2026-03-02T00:00:00Z"}]`).want(422, CodeInvalid)
	s.imports("", `"robots":[{"name":"newer","expires":"2026-03-02T00:00:00Z"}]`).want(200)
	if _, made := s.state.Robots.Get("newer"); made {
		t.Error("a robot that has expired was made")
	}
	if r, _ := s.state.Robots.Get("new"); r.Value.Number == 0 || r.Value.Created.IsZero() || r.Value.CreatedBy == "" || len(r.Value.Secrets) != 1 {
		t.Errorf("%+v", r.Value)
	}

	one, first := authn.NewSecret(authn.SecretAPIKey)
	id := strings.Split(first, ":")[1]
	_, second := authn.NewSecret(authn.SecretAPIKey)
	other := strings.Join([]string{"sha256", id, strings.Split(second, ":")[2]}, ":")
	s.imports("", `"api_keys":[{"name":"k","scopes":["*"],"hash":"`+first+`"}]`).want(200)
	s.call(one, "GET", "/whoami", nil).want(200)
	s.imports("", `"api_keys":[{"id":"`+id+`","name":"k","scopes":["robots:read"]}]`).want(200)
	s.call(one, "GET", "/robots", nil).want(200)
	s.call(one, "GET", "/keys", nil).want(403)
	s.imports("", `"api_keys":[{"id":"`+id+`","name":"k","scopes":["robots:read"],"hash":"`+other+`"}]`).want(200)
	s.call(one, "GET", "/whoami", nil).want(401)
}

// TestImportedKeysAreFew: there are no more keys than by the API, and a bootstrap
// key is none of those that are pruned.
func TestImportedKeysAreFew(t *testing.T) {
	s := newStage(t)
	var tx state.Tx
	for i := range maxKeys - 1 {
		state.Put(&tx, s.state.APIKeys, fmt.Sprintf("key%09d", i), &state.APIKey{Name: fmt.Sprint("k", i), Scopes: []string{"*"}, Bootstrap: i == 0, Expires: s.clock.now().Add(time.Hour)}, state.Absent)
	}
	if err := s.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	key := func(name string) string {
		_, hash := authn.NewSecret(authn.SecretAPIKey)
		return `{"name":"` + name + `","scopes":["*"],"hash":"` + hash + `"}`
	}
	s.imports("", `"api_keys":[`+key("a")+`,`+key("b")+`]`).want(422, CodeInvalid)
	s.imports("", `"api_keys":[`+key("k1")+`]`).want(422, CodeInvalid)
	s.imports("", `"api_keys":[`+key("a")+`]`).want(200)
	s.imports("", `"api_keys":[`+key("b")+`]`).want(422, CodeInvalid)
	s.imports("", `"api_keys":[{"id":"key000000001","name":"k1","scopes":["robots:read"],"expires":"2026-03-02T00:00:00Z"}]`).want(200)
	s.imports("?prune=true", `"api_keys":[{"id":"key000000001","name":"k1","scopes":["robots:read"]}]`).want(200)
	s.imports("?prune=true", `"api_keys":[`+key("k1")+`]`).want(200) // in place of the other one
	if left := s.state.APIKeys.Sorted(); len(left) != 2 {
		t.Errorf("%d keys are left", len(left))
	}
	if _, ok := s.state.APIKeys.Get("key000000000"); !ok {
		t.Error("the bootstrap key was pruned")
	}
}

// TestImportOnTwoGateways: what another gateway does at the same moment is taken
// into account.
func TestImportOnTwoGateways(t *testing.T) {
	_, hash := authn.NewSecret(authn.SecretAPIKey)
	for name, test := range map[string]struct {
		before, meanwhile func(a *stage)
		query, lists      string
	}{
		"a robot of a project that is deleted": {
			func(a *stage) { a.admin("PUT", "/projects/web", outside).want(201) },
			func(a *stage) { a.admin("DELETE", "/projects/web", nil).want(204) },
			"", `"robots":[{"name":"web+ci","permissions":[{"name":"elsewhere/**","actions":["push"]}]}]`,
		},
		"a project that gets a robot": {
			func(a *stage) { a.admin("PUT", "/projects/web", outside).want(201) },
			func(a *stage) { a.admin("PUT", "/robots/web+ci", outsideRobot).want(201) },
			"?prune=true", `"projects":[]`,
		},
		"a key of a name that is taken": {
			func(*stage) {},
			func(a *stage) { a.admin("POST", "/keys", `{"name":"terraform","scopes":["*"]}`).want(201) },
			"", `"api_keys":[{"name":"terraform","scopes":["*"],"hash":"` + hash + `"}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, late := twoGateways(t)
			test.before(a)
			late(func() { test.meanwhile(a) })
			b.t = t
			b.imports(test.query, test.lists).want(422, CodeInvalid)
		})
	}
}

// TestProjectsAreNotPrunedUnderRobots, also under those that the document brings;
// a project that the configuration declares as well goes.
func TestProjectsAreNotPrunedUnderRobots(t *testing.T) {
	s := newStage(t)
	s.admin("PUT", "/projects/web", outside).want(201)
	robot := `{"name":"web+ci","permissions":[{"name":"elsewhere/**","actions":["push"]}]}`
	s.imports("?prune=true", `"projects":[],"robots":[`+robot+`]`).want(422, CodeInvalid)
	s.imports("?prune=true", `"projects":[],"robots":[{"name":"other+ci"}]`).want(200)
	var tx state.Tx
	state.Put(&tx, s.state.Projects, "team-a", &state.Project{Name: "team-a", Patterns: []string{"team-a/**"}}, state.Absent)
	if err := s.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	s.admin("PUT", "/robots/team-a+ci", `{}`).want(201)
	s.imports("?prune=true", `"projects":[]`).want(200)
}

// TestDifferencesShowNoHash, and name what is set and what is not.
func TestDifferencesShowNoHash(t *testing.T) {
	type record struct {
		Name   string   `json:"name"`
		Hash   string   `json:"secret_hash,omitempty"`
		From   []string `json:"from"`
		On     bool     `json:"on"`
		Absent *int     `json:"absent"`
	}
	got := strings.Join(differences(&record{Name: "a", Hash: "$2y$secret"}, &record{Name: "a", Hash: "$2y$other", On: true}), "; ")
	if strings.Contains(got, "2y") || !strings.HasPrefix(got, "on: (none) → true; secret_hash: (hash ") {
		t.Error(got)
	}
	if got := strings.Join(differences(nil, &record{Name: "a", From: []string{}}), "; "); got != `name: "a"` {
		t.Error(got)
	}
	if got := strings.Join(differences(&record{Name: "a"}, &record{}), "; "); got != `name: "a" → (none)` {
		t.Error(got)
	}
}

// TestAppointmentsAreWithinTheCallers: a key that ends makes nobody an
// administrator for longer, in our own form or in Apicurio's.
func TestAppointmentsAreWithinTheCallers(t *testing.T) {
	s := newStage(t)
	key := s.admin("POST", "/keys", `{"name":"short","scopes":["roles:write"],"expires":"2026-03-02T00:00:00Z"}`).want(201).text("secret")
	s.call(key, "POST", "/role-mappings", `{"principal":"user:x","role":"admin"}`).want(403, CodeForbidden)
	s.call(key, "PUT", "/role-mappings/user:x", `{"role":"ADMIN"}`).want(403, CodeForbidden)
	s.call(key, "POST", "/admin/roleMappings", `{"principalId":"x","role":"ADMIN"}`).want(403, CodeForbidden)
	s.admin("GET", "/role-mappings/user:x", nil).want(404)
	s.call(key, "POST", "/role-mappings", `{"principal":"user:x","role":"admin","patterns":["a/**"]}`).want(201)
	s.call(key, "POST", "/role-mappings", `{"principal":"user:y","role":"developer"}`).want(201)
	s.call(key, "PUT", "/admin/roleMappings/y", `{"role":"ADMIN"}`).want(403, CodeForbidden)
	s.call(key, "PUT", "/role-mappings/user:z", `{"role":"admin","not_after":"2026-03-01T18:00:00Z"}`).want(201)
	if got := s.admin("GET", "/role-mappings/user:y", nil).want(200).text("role"); got != "developer" {
		t.Errorf("y is %s", got)
	}
	for _, path := range []string{"/role-mappings/user:y", "/role-mappings", "/admin/roleMappings/y", "/admin/roleMappings"} {
		s.call("alice", "GET", path, nil).want(403, CodeForbidden)
	}
	s.admin("GET", "/admin/roleMappings/nobody", nil).want(404, CodeNotFound)
	for role, want := range map[string]string{"admin": "ADMIN", "project_admin": "ADMIN", "guest": "READ_ONLY", "none such": "READ_ONLY", "sr-developer": "DEVELOPER"} {
		if got := s.manager.nearestRole(role); got != want {
			t.Errorf("%s is nearest to %s, want %s", role, got, want)
		}
	}
}
