package portal_test

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

var nextLink = regexp.MustCompile(`<a href="([^"]+)">Next page</a>`)

// TestLongLists: a list of more than a page leads to its end, and is searched
// as a whole.
func TestLongLists(t *testing.T) {
	const many = 120
	f := newFront(t)
	root := f.signedIn("root", "platform")
	var tx state.Tx
	user := ""
	for item := range f.state.Users.All() {
		user = item.ID
	}
	_, hash := authn.NewSecret(authn.SecretRobot)
	later := f.now().Add(time.Hour)
	for i := range many {
		name := fmt.Sprintf("many%03d", i)
		state.Put(&tx, f.state.Robots, name, &state.Robot{Name: name, Number: int64(i + 1), Secrets: []state.RobotSecret{{Hash: hash}}}, state.Absent)
		state.Put(&tx, f.state.Projects, name, &state.Project{Name: name, Patterns: []string{name + "/**"}}, state.Absent)
		state.Put(&tx, f.state.Users, "user-"+name, &state.User{Name: name, First: f.now(), Last: f.now()}, state.Absent)
		state.Put(&tx, f.state.Tokens, name, &state.Token{User: user, Name: name, Hash: hash, Created: f.now(), Expires: later}, state.Absent)
		tx.Note(state.System, "test.note", state.Object{Kind: "test", ID: name, Name: name}, nil, nil)
	}
	if err := f.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/auth/robots", "/auth/projects", "/auth/users", "/auth/tokens", "/auth/audit"} {
		t.Run(path, func(t *testing.T) {
			seen, pages := map[string]bool{}, 0
			for at := path; at != ""; pages++ {
				g := root.get(at)
				if g.status != 200 || pages > 10 {
					t.Fatalf("%s: %d, page %d", at, g.status, pages)
				}
				for _, name := range regexp.MustCompile(`many\d\d\d`).FindAllString(g.body, -1) {
					seen[name] = true
				}
				at = ""
				if next := nextLink.FindStringSubmatch(g.body); next != nil {
					at = html.UnescapeString(next[1])
				}
			}
			if len(seen) != many || pages != 3 {
				t.Errorf("%d of %d on %d pages", len(seen), many, pages)
			}
			g := root.get(path + "?q=many077")
			if strings.Count(g.body, "many077") < 2 || strings.Contains(g.body, "many076") {
				t.Errorf("the search\n%s", g.body)
			}
			if g := root.get(path + "?q=nothing-is-called-so"); g.status != 200 || strings.Contains(g.body, "many0") {
				t.Errorf("the search for nothing: %d", g.status)
			}
		})
	}
	for _, page := range []string{"-1", "99999999999999999999", "x", "1000"} {
		if g := root.get("/auth/projects?page=" + page); g.status != 200 {
			t.Errorf("page %s: %d", page, g.status)
		}
	}
}

// TestAuditPage narrows the events.
func TestAuditPage(t *testing.T) {
	f := newFront(t)
	root := f.signedIn("root", "platform")
	root.settled("/auth/robots/new", "Shown once", url.Values{"name": {"ci"}, "permissions": {"team/** pull"}})
	root.settled("/auth/robots/settings", "Saved.", url.Values{"name": {"ci"}, "permissions": {"team/** pull push"}})
	today, tomorrow := f.now().UTC().Format("2006-01-02"), f.now().UTC().AddDate(0, 0, 1).Format("2006-01-02")
	for query, want := range map[string]map[string]bool{
		"":                                   {"robot.create": true, "session.create": true, "changed": true},
		"action=robot.create":                {"robot.create": true, "session.create": false},
		"actor=user:root&action=robot.":      {"robot.create": true, "session.create": false},
		"actor=user:nobody":                  {"robot.create": false, "No events": true},
		"since=" + today + "&until=" + today: {"robot.create": true},
		"since=" + tomorrow:                  {"robot.create": false},
		"since=yesterday":                    {"Enter a date like": true},
	} {
		g := root.get("/auth/audit?" + query)
		for text, there := range want {
			if got := strings.Contains(g.body, "<code>"+text) || strings.Contains(g.body, text) && !strings.Contains(text, "."); got != there {
				t.Errorf("%q: %q is %t, want %t", query, text, got, there)
			}
		}
	}
	if g := f.signedIn("alice", "dev").get("/auth/audit"); g.status != 403 || strings.Contains(g.body, "robot.create") {
		t.Errorf("who is no administrator: %d", g.status)
	}
}

// TestExplainPage asks for a decision and why.
func TestExplainPage(t *testing.T) {
	f := newFront(t)
	root := f.signedIn("root", "platform")
	for query, says := range map[string]string{
		"q=team/app&action=push&who=user:alice&groups=dev": "allowed",
		"q=team/app&action=push&who=user:alice":            "refused",
		"q=We//x&action=push&who=user:alice":               `role="alert"`,
		"q=team/app&action=fly&who=user:alice":             `role="alert"`,
	} {
		if g := root.get("/auth/explain?" + query); g.status != 200 || !strings.Contains(g.body, says) {
			t.Errorf("%s: %d, want %q\n%s", query, g.status, says, g.body)
		}
	}
}

// TestHealthPage says what is away.
func TestHealthPage(t *testing.T) {
	f := newFront(t)
	root := f.signedIn("root", "platform")
	if g := root.get("/auth/health"); !strings.Contains(g.body, ">ready<") || !strings.Contains(g.body, ">answers<") {
		t.Error(g.body)
	}
	f.idp.set(func() { f.idp.away = true })
	f.advance(7 * time.Hour)
	if g := root.get("/auth/health"); g.status != 200 || !strings.Contains(g.body, "does not answer") {
		t.Error(g.body)
	}
	if g := f.browser().get("/auth/health", "Sec-Fetch-Mode", "cors"); g.status != 401 {
		t.Error(g.status)
	}
}

// TestUserPage: an administrator locks somebody out, lets them in, and signs
// them out everywhere.
func TestUserPage(t *testing.T) {
	f := newFront(t)
	alice := f.signedIn("alice", "dev")
	id := ""
	for item := range f.state.Users.All() {
		id = item.ID
	}
	root := f.signedIn("root", "platform")
	f.idp.set(func() {
		f.idp.person = object{"sub": "id-alice", "preferred_username": "alice", "groups": []string{"dev"}}
	})
	form := url.Values{"id": {id}}
	root.settled("/auth/users/disable", "Are you sure?", form)
	if g := alice.get("/auth/"); g.status != 200 {
		t.Errorf("nobody was sure: %d", g.status)
	}
	form.Set("confirmed", "yes")
	root.settled("/auth/users/disable", "disabled", form)
	if g := alice.get("/auth/"); g.status != 403 || !strings.Contains(g.body, "disabled") {
		t.Errorf("alice is disabled: %d", g.status)
	}
	root.settled("/auth/users/enable", "Saved.", form)
	if g := alice.get("/auth/"); g.status != 200 {
		t.Errorf("alice is enabled: %d", g.status)
	}
	root.settled("/auth/users/sign-out", "Saved.", form)
	if g := alice.get("/auth/csrf", "Sec-Fetch-Mode", "cors"); g.status != 401 {
		t.Errorf("alice was signed out: %d", g.status)
	}
	if g := alice.post("/auth/users/disable", form); g.status != 403 {
		t.Errorf("alice disables: %d", g.status)
	}
}

// TestRobotPage: a robot is rotated with an overlap, disabled and deleted, and
// its end is warned about.
func TestRobotPage(t *testing.T) {
	f := newFront(t)
	root := f.signedIn("root", "platform")
	root.settled("/auth/robots/new", "Shown once", url.Values{"name": {"ci"}, "permissions": {"team/** pull"}, "expires": {f.now().UTC().AddDate(0, 0, 9).Format("2006-01-02")}})
	if g := root.get("/auth/robots"); !strings.Contains(g.body, "10 days left") {
		t.Error("nobody warns", g.body)
	}
	root.settled("/auth/robots/rotate", "Shown once", url.Values{"name": {"ci"}, "overlap": {"3600"}})
	if r, _ := f.state.Robots.Get("ci"); len(r.Value.Secrets) != 2 {
		t.Errorf("%d secrets", len(r.Value.Secrets))
	}
	root.settled("/auth/robots/rotate", "Shown once", url.Values{"name": {"ci"}, "overlap": {"0"}})
	if r, _ := f.state.Robots.Get("ci"); len(r.Value.Secrets) != 1 {
		t.Errorf("%d secrets", len(r.Value.Secrets))
	}
	sure := url.Values{"name": {"ci"}, "confirmed": {"yes"}}
	root.settled("/auth/robots/disable", "disabled", sure)
	if r, _ := f.state.Robots.Get("ci"); !r.Value.Disabled {
		t.Error("it is enabled")
	}
	root.settled("/auth/robots/enable", "enabled", sure)
	root.settled("/auth/robots/delete", "Are you sure?", url.Values{"name": {"ci"}})
	root.settled("/auth/robots/delete", "Removed.", sure)
	if _, ok := f.state.Robots.Get("ci"); ok {
		t.Error("it is there")
	}
}

// TestRoleMappingPage gives a role and takes it away.
func TestRoleMappingPage(t *testing.T) {
	f := newFront(t)
	root := f.signedIn("root", "platform")
	alice := f.signedIn("alice", "auditors")
	root.settled("/auth/role-mappings", "group:auditors", url.Values{"principal": {"group:auditors"}, "role": {"guest"}, "patterns": {"team/**"}})
	if g := alice.get("/auth/"); !strings.Contains(g.body, "team/**") || !strings.Contains(g.body, "you are in the group auditors") {
		t.Error(g.body)
	}
	root.settled("/auth/role-mappings", `role="alert"`, url.Values{"principal": {"user:bob"}, "role": {"nothing-such"}})
	root.settled("/auth/role-mappings/delete", "Are you sure?", url.Values{"principal": {"group:auditors"}})
	root.settled("/auth/role-mappings/delete", "Removed.", url.Values{"principal": {"group:auditors"}, "confirmed": {"yes"}})
	if g := alice.get("/auth/"); strings.Contains(g.body, "team/**") {
		t.Error("the role goes on")
	}
	if g := alice.post("/auth/role-mappings", url.Values{"principal": {"user:alice"}, "role": {"admin"}}); strings.Contains(g.body, "Saved.") {
		t.Error("alice gives herself a role")
	}
}
