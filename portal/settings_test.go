package portal_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// signedIn is the browser of somebody with groups.
func (f *front) signedIn(name string, groups ...string) *person {
	f.Helper()
	p := f.browser()
	p.as = object{"sub": "id-" + name, "preferred_username": name, "groups": groups}
	f.idp.set(func() { f.idp.person = p.as })
	p.signIn()
	return p
}

var revisionField = regexp.MustCompile(`name="revision" value="(\d+)"`)

// settled posts a form and wants what follows to say something.
func (p *person) settled(path, says string, form url.Values) *page {
	p.Helper()
	g := p.post(path, form)
	if !strings.Contains(g.body, says) {
		p.Errorf("%s: %d, want %q\n%s", path, g.status, says, g.body)
	}
	return g
}

// TestProjectSettings: administrators change a project, who manages it only
// its members and whether it is written to.
func TestProjectSettings(t *testing.T) {
	f := newFront(t)
	root := f.signedIn("root", "platform")
	root.settled("/auth/projects", "Saved.", url.Values{"name": {"web"}, "patterns": {"web/**"}, "description": {"The shop"}})
	root.settled("/auth/projects/members", "Saved.", url.Values{"name": {"web"}, "subject": {"group:web-leads"}, "role": {"project_admin"}})
	page := root.get("/auth/projects/one?name=web")
	revision := revisionField.FindStringSubmatch(page.body)
	if revision == nil || !strings.Contains(page.body, `value="The shop"`) || !strings.Contains(page.body, "/auth/robots?q=web%2B") {
		t.Fatal(page.body)
	}
	change := url.Values{"name": {"web"}, "revision": {revision[1]}, "description": {"The web shop"}, "patterns": {"web/** shop/**"}, "immutable": {"v*"}}
	root.settled("/auth/projects/settings", "Saved.", change)
	p, _ := f.state.Projects.Get("web")
	if v := p.Value; len(v.Patterns) != 2 || v.Description != "The web shop" || len(v.Immutable) != 1 || len(v.Members) != 1 {
		t.Errorf("%+v", v)
	}
	// Who has seen an older version overwrites nothing, and loses nothing of what was typed in.
	change.Set("description", "Something else")
	page = root.settled("/auth/projects/settings", "It was changed since you read it", change)
	if !strings.Contains(page.body, `value="Something else"`) {
		t.Error("what was typed in is lost")
	}
	change.Set("patterns", "We//**")
	change.Set("revision", revisionField.FindStringSubmatch(root.get("/auth/projects/one?name=web").body)[1])
	root.settled("/auth/projects/settings", "Patterns", change)

	lead := f.signedIn("lead", "web-leads")
	page = lead.get("/auth/projects/one?name=web")
	if strings.Contains(page.body, "projects/settings") || strings.Contains(page.body, "projects/delete") || !strings.Contains(page.body, "projects/read-only") {
		t.Errorf("who manages a project is shown\n%s", page.body)
	}
	change.Set("patterns", "**")
	if g := lead.post("/auth/projects/settings", change); g.status != 200 || !strings.Contains(g.body, "role=\"alert\"") {
		t.Error(g.status, g.body)
	}
	if p, _ := f.state.Projects.Get("web"); len(p.Value.Patterns) != 2 {
		t.Fatal("who manages a project took all repositories")
	}
	// Stopping asks once; ending it does not.
	stop := url.Values{"name": {"web"}, "on": {"yes"}, "reason": {"storage is moved"}}
	if lead.settled("/auth/projects/read-only", "Are you sure?", stop); len(f.readOnly("web")) != 0 {
		t.Error("nobody asked")
	}
	stop.Set("confirmed", "yes")
	lead.settled("/auth/projects/read-only", "Reason: storage is moved", stop)
	if f.readOnly("web") != "on" {
		t.Error("it is not read-only")
	}
	lead.settled("/auth/projects/read-only", "Pulls go on.", url.Values{"name": {"web"}})
	if f.readOnly("web") != "off" {
		t.Error("it is still read-only")
	}
	stranger := f.signedIn("stranger", "dev")
	stranger.settled("/auth/projects/read-only", "Page not found", stop)
	if f.readOnly("web") != "off" {
		t.Error("a stranger has stopped it")
	}
}

// readOnly is how the switch of a project stands: "" if it was never touched.
func (f *front) readOnly(project string) string {
	item, ok := f.state.Settings.Get("read_only/" + project)
	switch {
	case !ok:
		return ""
	case item.Value.On:
		return "on"
	}
	return "off"
}

// TestMemberKeepsConditions: a new role on the page widens nothing else.
func TestMemberKeepsConditions(t *testing.T) {
	f := newFront(t)
	root := f.signedIn("root", "platform")
	root.settled("/auth/projects", "Saved.", url.Values{"name": {"web"}, "patterns": {"web/**"}})
	root.settled("/auth/projects/members", "Saved.", url.Values{"name": {"web"}, "subject": {"group:ci"}, "role": {"guest"}})
	item, _ := f.state.Projects.Get("web")
	next := *item.Value
	next.Members = slices.Clone(next.Members)
	next.Members[0].From = []string{"10.0.0.0/8"}
	var tx state.Tx
	state.Put(&tx, f.state.Projects, "web", &next, state.Unchanged(item))
	if err := f.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	root.settled("/auth/projects/members", "Saved.", url.Values{"name": {"web"}, "subject": {"group:ci"}, "role": {"developer"}})
	item, _ = f.state.Projects.Get("web")
	if m := item.Value.Members; len(m) != 1 || m[0].Role != "developer" || len(m[0].From) != 1 {
		t.Errorf("%+v", m)
	}
}

// TestRobotSettings: who manages a project changes what its robots may do, and
// gives none more than it holds.
func TestRobotSettings(t *testing.T) {
	f := newFront(t)
	root := f.signedIn("root", "platform")
	root.settled("/auth/projects", "Saved.", url.Values{"name": {"web"}, "patterns": {"web/**"}})
	root.settled("/auth/projects/members", "Saved.", url.Values{"name": {"web"}, "subject": {"group:web-leads"}, "role": {"project_admin"}})
	lead, stranger := f.signedIn("lead", "web-leads"), f.signedIn("stranger", "dev")
	last := f.now().AddDate(0, 0, 30).UTC().Format("2006-01-02")
	lead.settled("/auth/robots/new", "Shown once", url.Values{"name": {"web+ci"}, "permissions": {"web/** pull"}, "expires": {last}})
	page := lead.get("/auth/robots/one?name=web%2Bci")
	if !strings.Contains(page.body, "web/** pull</textarea>") || !strings.Contains(page.body, `value="`+last+`"`) {
		t.Fatal(page.body)
	}
	before, _ := f.state.Robots.Get("web+ci")
	f.advance(time.Hour)
	change := url.Values{"name": {"web+ci"}, "description": {"Builds"}, "permissions": {"web/** pull push\nweb/base pull"}, "expires": {last}, "from": {"10.0.0.0/8, 192.0.2.7"}}
	lead.settled("/auth/robots/settings", "Saved.", change)
	r, _ := f.state.Robots.Get("web+ci")
	if v := r.Value; v.Description != "Builds" || len(v.Permissions) != 2 || len(v.From) != 2 || !v.Expires.Equal(before.Value.Expires) || len(v.Secrets) != 1 || v.Secrets[0].Hash != before.Value.Secrets[0].Hash {
		t.Errorf("%+v", v)
	}
	change.Set("permissions", "other/** push")
	page = lead.settled("/auth/robots/settings", "not all within the project", change)
	if !strings.Contains(page.body, "other/** push</textarea>") {
		t.Error("what was typed in is lost")
	}
	change.Set("expires", "soon")
	lead.settled("/auth/robots/settings", "Enter a date like", change)
	change.Set("expires", "")
	change.Set("permissions", "web/** pull")
	lead.settled("/auth/robots/settings", "Saved.", change)
	if r, _ := f.state.Robots.Get("web+ci"); !r.Value.Expires.IsZero() {
		t.Errorf("%+v", r.Value)
	}
	stranger.settled("/auth/robots/settings", "Page not found", change)
}

// TestUserLogins: administrators see and end the docker logins of a user.
func TestUserLogins(t *testing.T) {
	f := newFront(t)
	alice := f.signedIn("alice", "dev")
	d, code, user := f.begin(laptop)
	alice.post("/auth/device/approve", url.Values{"user_code": {user}})
	if e := d.poll(code); e != "" {
		t.Fatal(d.got)
	}
	secret, id := d.text("access_token"), ""
	for item := range f.state.IdentityTokens.All() {
		id = item.Value.User
	}
	bob, root := f.signedIn("bob", "dev"), f.signedIn("root", "platform")
	page := root.get("/auth/users/one?id=" + url.QueryEscape(id))
	if !strings.Contains(page.body, "Log out laptop") {
		t.Fatal(page.body)
	}
	for item := range f.state.IdentityTokens.All() {
		end := url.Values{"id": {item.ID}, "user": {id}, "confirmed": {"yes"}}
		if g := bob.post("/auth/users/end-login", end); g.status != 404 || !logged(f, secret) {
			t.Errorf("bob ends it: %d", g.status)
		}
		if g := bob.post("/auth/logins/end", end); !logged(f, secret) {
			t.Errorf("bob ends it: %d", g.status)
		}
		delete(end, "confirmed")
		root.settled("/auth/users/end-login", "Are you sure?", end)
		end.Set("confirmed", "yes")
		root.settled("/auth/users/end-login", "Saved.", end)
	}
	if logged(f, secret) {
		t.Error("it goes on")
	}
}

// logged reports whether an identity token is good.
func logged(f *front, secret string) bool {
	_, err := f.logins.Authenticate(f.Context(), &authn.Credential{Scheme: authn.SchemeIdentityToken, Secret: secret})
	return err == nil
}
