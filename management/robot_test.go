package management

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

const ciRobot = `{"name":"team-a+ci","description":"builds","permissions":[{"name":"team-a/**","actions":["pull","push"]}]}`

func TestRobotLives(t *testing.T) {
	s := newStage(t)
	made := s.admin("POST", "/robots", ciRobot).want(201)
	if made.header.Get("Location") != DefaultPrefix+"/robots/team-a+ci" || made.header.Get("ETag") == "" {
		t.Errorf("headers %v", made.header)
	}
	secret := made.text("secret")
	if !strings.HasPrefix(secret, "craro_") {
		t.Fatalf("secret %q", secret)
	}
	got := s.admin("GET", "/robots/team-a+ci", nil).want(200)
	if strings.Contains(string(got.body), secret) || got.header.Get("ETag") != made.header.Get("ETag") {
		t.Errorf("%v %s", got.header, got.body)
	}
	s.admin("GET", "/robots/team-a+ci", nil, "If-None-Match", got.header.Get("ETag")).want(304)
	s.admin("HEAD", "/robots/team-a+ci", nil).want(200)
	s.admin("POST", "/robots", ciRobot).want(409, CodeExists)

	// It is who it says, sees itself and nothing else.
	if me := s.call(secret, "GET", "/whoami", nil).want(200); me.text("kind") != "robot" || me.text("name") != "team-a+ci" {
		t.Errorf("whoami %s", me.body)
	}
	s.call(secret, "GET", "/robots/team-a+ci", nil).want(200)
	s.call(secret, "GET", "/robots/declared", nil).want(404)
	s.call(secret, "DELETE", "/robots/team-a+ci", nil).want(404)

	// It rotates itself; both secrets are good until the overlap ends.
	turned := s.call(secret, "POST", "/robots/team-a+ci/rotate", nil).want(200)
	fresh := turned.text("secret")
	s.call(secret, "GET", "/whoami", nil).want(200)
	s.clock.advance(25 * time.Hour)
	s.call(secret, "GET", "/whoami", nil).want(401)
	s.call(fresh, "GET", "/whoami", nil).want(200)
	last := s.call(fresh, "POST", "/robots/team-a+ci/rotate", `{"overlap_seconds":0}`).want(200).text("secret")
	s.call(fresh, "GET", "/whoami", nil).want(401)

	// Disabling ends it at once, deleting for good.
	s.admin("PATCH", "/robots/team-a+ci", `{"disabled":true}`).want(200)
	s.call(last, "GET", "/whoami", nil).want(401)
	s.admin("PATCH", "/robots/team-a+ci", `{"disabled":null,"description":null}`).want(200)
	if s.call(last, "GET", "/robots/team-a+ci", nil).want(200).text("description") != "" {
		t.Error("null did not take the description away")
	}
	s.admin("DELETE", "/robots/team-a+ci", nil, "If-Match", `"1"`).want(412, CodeStale)
	s.admin("DELETE", "/robots/team-a+ci", nil).want(204)
	s.call(last, "GET", "/whoami", nil).want(401)
	s.admin("GET", "/robots/team-a+ci", nil).want(404)
	s.admin("DELETE", "/robots/team-a+ci", nil).want(404)
}

func TestPutRobotIsIdempotent(t *testing.T) {
	s := newStage(t)
	body := `{"permissions":[{"name":"team-a/**","actions":["pull"]}],"secret":"Chosen-Secret-1"}`
	first := s.admin("PUT", "/robots/team-a+tf", body).want(201)
	if first.text("secret") != "" {
		t.Errorf("a secret that was given is shown: %s", first.body)
	}
	second := s.admin("PUT", "/robots/team-a+tf", body).want(200)
	if first.header.Get("ETag") != second.header.Get("ETag") {
		t.Error("the same again was written")
	}
	s.call("", "GET", "/whoami", nil, "Authorization", basic("robot$team-a+tf", "Chosen-Secret-1")).want(200)
	s.admin("PUT", "/robots/team-a+tf", strings.Replace(body, "Secret-1", "Secret-2", 1), "If-Match", first.header.Get("ETag")).want(200)
	s.call("", "GET", "/whoami", nil, "Authorization", basic("robot$team-a+tf", "Chosen-Secret-1")).want(401)
	s.admin("PUT", "/robots/team-a+tf", body, "If-Match", first.header.Get("ETag")).want(412)
	s.admin("PUT", "/robots/team-a+tf", body, "If-None-Match", "*").want(412)
	s.admin("DELETE", "/robots/declared/secrets/x", nil).want(409, CodeDeclared)
	s.admin("PUT", "/robots/declared", body).want(409, CodeDeclared)
	s.admin("PUT", "/robots/scanner", `{}`).want(409, CodeDeclared)
	s.admin("PATCH", "/robots/declared", `{"disabled":true}`).want(409, CodeDeclared)
	s.admin("DELETE", "/robots/declared", nil).want(409, CodeDeclared)
	s.admin("POST", "/robots/declared/rotate", nil).want(409, CodeDeclared)
	s.admin("GET", "/robots/declared", nil).want(200)
}

func TestRobotsNeverExceedTheirMaker(t *testing.T) {
	s := newStage(t)
	// alice manages team-a and reads team-b.
	for _, c := range []struct {
		name, permissions string
		status            int
	}{
		{"team-a+ok", `{"name":"team-a/**","actions":["pull","push","delete"]}`, 201},
		{"team-a+deeper", `{"name":"team-a/app/*","actions":["*"]}`, 201},
		{"team-a+more", `{"name":"team-a/**","actions":["*"]}`, 201},
		{"team-a+other", `{"name":"team-b/**","actions":["pull"]}`, 422},
		{"team-a+wide", `{"name":"**","actions":["pull"]}`, 422},
		{"team-a+sly", `{"name":"team-*/**","actions":["pull"]}`, 422},
		{"team-a+catalog", `{"type":"registry","name":"catalog","actions":["*"]}`, 422},
		{"team-b+mine", `{"name":"team-b/**","actions":["pull"]}`, 403},
		{"system", `{"name":"team-a/**","actions":["pull"]}`, 403},
		{"unknown+x", `{"name":"unknown/**","actions":["pull"]}`, 403},
	} {
		body := `{"permissions":[` + c.permissions + `]}`
		if got := s.call("alice", "PUT", "/robots/"+c.name, body); got.status != c.status {
			t.Errorf("%s: %d, want %d: %s", c.name, got.status, c.status, got.body)
		}
	}
	// What an administrator's robot may do is not handed to a caller who may do less,
	// not by its secret either.
	s.admin("PUT", "/robots/team-a+strong", `{"permissions":[{"name":"team-a/**","actions":["pull"]}]}`).want(201)
	s.call("alice", "POST", "/robots/team-a+strong/rotate", nil).want(200)
	s.call("bob", "GET", "/robots/team-a+strong", nil).want(404)
	s.call("bob", "POST", "/robots", `{"name":"team-a+x"}`).want(403, CodeForbidden)
	s.call("bob", "PATCH", "/robots/team-a+strong", `{}`).want(404)
	s.call("bob", "DELETE", "/robots/team-a+strong/secrets/x", nil).want(404)
	s.call("bob", "POST", "/robots/team-a+strong/rotate", nil).want(404)
	s.call("bob", "PUT", "/robots/team-a+strong", `{}`).want(403)
	var page List[Robot]
	s.call("bob", "GET", "/robots", nil).want(200).into(&page)
	if len(page.Items) != 0 {
		t.Errorf("bob sees %d robots", len(page.Items))
	}
	s.call("alice", "GET", "/robots", nil).want(200).into(&page)
	if len(page.Items) != 4 {
		t.Errorf("alice sees %d robots, want 4", len(page.Items))
	}
}

// TestStrongerRobot has a robot that may do more than who manages its project:
// it can be stopped, and not be used.
func TestStrongerRobot(t *testing.T) {
	s := newStage(t)
	s.admin("PUT", "/robots/team-a+strong", `{"permissions":[{"name":"team-a/**","actions":["push"]}],"from":["10.0.0.0/8"]}`).want(201)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/rotate", "{}", 403},
		{"PATCH", "", `{"secret":"Chosen-Secret-1"}`, 403},
		{"PATCH", "", `{"from":null}`, 403},
		{"PATCH", "", `{"expires":"2027-01-01T00:00:00Z"}`, 403},
		{"PATCH", "", `{"description":"not mine"}`, 200},
		{"PATCH", "", `{"disabled":true}`, 200},
		{"PATCH", "", `{"disabled":false}`, 403},
		{"PATCH", "", `{"permissions":[{"name":"team-a/**","actions":["pull"]}],"disabled":false}`, 200},
		{"POST", "/rotate", "{}", 200},
		{"DELETE", "", "", 204},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		if got := s.call("carol", c.method, "/robots/team-a+strong"+c.path, body); got.status != c.status {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.body, got.status, c.status, got.body)
		}
	}
}

// TestReplacedSecret: a secret that was replaced is good for what the robot does
// until it ends, and not for staying in.
func TestReplacedSecret(t *testing.T) {
	s := newStage(t)
	old := s.admin("PUT", "/robots/team-a+ci", `{"permissions":[{"name":"team-a/**","actions":["pull"]}]}`).want(201).text("secret")
	fresh := s.call(old, "POST", "/robots/team-a+ci/rotate", nil).want(200).text("secret")
	s.call(old, "GET", "/whoami", nil).want(200)
	s.call(old, "POST", "/robots/team-a+ci/rotate", nil).want(403, CodeForbidden)
	parsed, err := authn.ParseSecret(fresh)
	if err != nil {
		t.Fatal(err)
	}
	s.call(old, "DELETE", "/robots/team-a+ci/secrets/"+parsed.ID, nil).want(403, CodeForbidden)
	parsed, _ = authn.ParseSecret(old)
	s.call(fresh, "DELETE", "/robots/team-a+ci/secrets/"+parsed.ID, nil).want(204)
	s.call(fresh, "POST", "/robots/team-a+ci/rotate", nil).want(200)
}

// TestAdministratorRobot: who manages a project does not become administrator
// by the secret of a robot there that is one.
func TestAdministratorRobot(t *testing.T) {
	s := newStage(t, func(o *Options) {
		more := rules
		more.Admins = append([]authz.Admin{{Subjects: []string{"robot:team-a+boss"}, Mapped: true}}, rules.Admins...)
		compiled, err := authz.Compile(more)
		if err != nil {
			t.Fatal(err)
		}
		policy := compiled.With(o.State)
		o.Policy = func() *authz.Policy { return policy }
	})
	s.call("alice", "PUT", "/robots/team-a+boss", `{}`).want(403, CodeForbidden)
	s.admin("PUT", "/robots/team-a+boss", `{}`).want(201)
	s.call("alice", "PUT", "/robots/team-a+boss", `{"secret":"Chosen-Secret-1"}`).want(403, CodeForbidden)
	s.call("alice", "POST", "/robots/team-a+boss/rotate", nil).want(403, CodeForbidden)
	s.call("alice", "PATCH", "/robots/team-a+boss", `{"disabled":true}`).want(200)
	s.call("alice", "PATCH", "/robots/team-a+boss", `{"disabled":false}`).want(403, CodeForbidden)
	s.call("root", "POST", "/robots/team-a+boss/rotate", nil).want(200)
}

// TestSwitchingKeepsRestrictions: what somebody else restricts at the same
// moment stays restricted.
func TestSwitchingKeepsRestrictions(t *testing.T) {
	asked, restrict := 0, func() {}
	s := newStage(t, func(o *Options) {
		policy := o.Policy
		o.Policy = func() *authz.Policy {
			if asked++; asked == 2 { // once to read the robot, once to write it
				restrict()
			}
			return policy()
		}
	})
	s.admin("PUT", "/robots/ci", `{}`).want(201)
	restrict = func() { s.admin("PATCH", "/robots/ci", `{"from":["10.0.0.0/8"]}`).want(200) }
	who, err := s.manager.Caller(people["root"])
	if err != nil {
		t.Fatal(err)
	}
	asked = 0
	if err := s.manager.SetRobotDisabled(t.Context(), who, "ci", true); err == nil || AsError(err).Code != CodeStale {
		t.Errorf("written over a change: %v", err)
	}
	item, _ := s.state.Robots.Get("ci")
	if len(item.Value.From) != 1 {
		t.Error("the restriction is lost")
	}
	if err := s.manager.SetRobotDisabled(t.Context(), who, "ci", true); err != nil {
		t.Error(err)
	}
}

func TestRobotPages(t *testing.T) {
	s := newStage(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		s.admin("PUT", "/robots/"+name, `{}`).want(201)
	}
	var names []string
	path := "/robots?limit=2"
	for range 5 {
		got := s.admin("GET", path, nil).want(200)
		var page List[Robot]
		got.into(&page)
		for _, r := range page.Items {
			names = append(names, r.Name)
		}
		if page.Next == "" {
			break
		}
		if link := got.header.Get("Link"); !strings.Contains(link, page.Next) || !strings.Contains(link, `rel="next"`) {
			t.Errorf("Link %q", link)
		}
		path = "/robots?limit=2&cursor=" + page.Next
	}
	if strings.Join(names, " ") != "a b c d declared" {
		t.Errorf("names %v", names)
	}
	s.admin("GET", "/robots?limit=0", nil).want(422)
	s.admin("GET", "/robots?cursor=x", nil).want(422)
	s.admin("GET", "/robots?colour=red", nil).want(422)
}

func TestIdempotencyKey(t *testing.T) {
	s := newStage(t)
	first := s.admin("POST", "/robots", ciRobot, "Idempotency-Key", "k1").want(201)
	again := s.admin("POST", "/robots", ciRobot, "Idempotency-Key", "k1").want(201)
	if first.text("secret") != again.text("secret") || first.header.Get("ETag") != again.header.Get("ETag") ||
		first.header.Get("Location") != again.header.Get("Location") || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s %v\n%s %v", first.body, first.header, again.body, again.header)
	}
	s.admin("POST", "/robots", strings.Replace(ciRobot, "builds", "other", 1), "Idempotency-Key", "k1").want(409, CodeRepeated)
	// Another caller's key is another key, also where the value is the same.
	s.call("root", "POST", "/robots", ciRobot, "Idempotency-Key", "k1").want(409, CodeExists)
	for item := range s.state.Once.All() {
		if strings.Contains(string(item.Value.Answer), "craro_") {
			t.Error("the secret is in the store")
		}
	}
	s.clock.advance(25 * time.Hour)
	s.state.Tidy(t.Context())
	s.admin("POST", "/robots", ciRobot, "Idempotency-Key", "k1").want(409, CodeExists)
	// A weak credential's answer is not kept.
	s.call("root", "POST", "/robots", `{"name":"weak"}`, "Idempotency-Key", "k2").want(201)
	if g := s.call("root", "POST", "/robots", `{"name":"weak"}`, "Idempotency-Key", "k2").want(409, CodeRepeated); g.header.Get("Location") == "" {
		t.Error("no Location")
	}
}

// TestOnlyRolesInForceCanBeHandedOn has the example of docs/policy.md,
// `role_source token application { first }`: carol has a role in her token, so
// that the stored one, by which she would be a maintainer everywhere, does not
// count for her. A role that does not count gives nothing to hand on.
func TestOnlyRolesInForceCanBeHandedOn(t *testing.T) {
	carol := people["carol"]
	carol.Roles = []string{"viewer"}
	defer func() { carol.Roles = nil }()
	s := newStage(t, func(o *Options) {
		cfg := rules
		cfg.RoleSources, cfg.FirstRoleSource = []string{"token", "application"}, true
		cfg.Projects = append(append([]authz.Project{}, rules.Projects...), authz.Project{
			Name: "viewers", Patterns: []string{"public/**"}, Grants: []authz.Grant{{Role: "guest", Subjects: []string{"role:viewer"}}},
		})
		st := o.State
		o.Policy = func() *authz.Policy {
			p, err := authz.Compile(PolicyRecords(st, cfg, Config{}).Add(cfg))
			if err != nil {
				t.Fatal(err)
			}
			return p.With(st)
		}
	})
	s.call("root", "PUT", "/role-mappings/user:carol", `{"role":"maintainer"}`).want(201)
	for _, action := range []string{"push", "delete"} {
		s.call("carol", "POST", "/robots", `{"name":"team-a+`+action+`","permissions":[{"name":"team-a/**","actions":["`+action+`"]}]}`).want(403, CodeForbidden)
	}
	s.call("carol", "POST", "/robots", `{"name":"team-a+pull","permissions":[{"name":"team-a/**","actions":["pull"]}]}`).want(201)
	// And a robot that has the role is no more than she is, where it counts for
	// neither: its roles come from the store.
	s.call("root", "PUT", "/role-mappings/robot:team-a+pull", `{"role":"maintainer"}`).want(201)
	s.call("carol", "POST", "/robots/team-a+pull/rotate", `{}`).want(403, CodeForbidden)
}
