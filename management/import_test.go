package management

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// full is a document with something of everything.
func full(t *testing.T) (text, robotSecret string) {
	t.Helper()
	robotSecret, robot := authn.NewSecret(authn.SecretRobot)
	_, key := authn.NewSecret(authn.SecretAPIKey)
	return `
version: 1
read_only: false
read_only_projects: [team-b]
projects:
  - name: web
    patterns: [web/**]
    immutable: ["v*"]
    members:
      - {subject: "group:web", role: developer}
role_mappings:
  - {principal: "user:carol", role: ADMIN}
  - {principal: "group:x", role: developer, patterns: ["x/**"], not_after: "2030-01-01T00:00:00Z"}
robots:
  - name: web+ci
    permissions: [{name: "web/**", actions: [pull, push]}]
    secret_hashes: ["` + robot + `"]
  - name: later
api_keys:
  - {name: terraform, scopes: ["*"], hash: "` + key + `"}
owners:
  - {repository: web/app, principal: "robot:web+ci"}
locked_out:
  - {issuer: "https://sso", subject: "7", name: mallory}
`, robotSecret
}

func parsed(t *testing.T, text string) *Document {
	t.Helper()
	d, err := ParseDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func imported(t *testing.T, s *stage, d *Document, o ImportOptions) string {
	t.Helper()
	r, err := s.manager.Import(t.Context(), Local("local", "test"), d, o)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range r.Changes {
		lines = append(lines, strings.SplitN(c.String(), "\n", 2)[0])
	}
	return strings.Join(lines, "\n")
}

func TestImport(t *testing.T) {
	s := newStage(t)
	text, secret := full(t)
	d := parsed(t, text)
	dry := imported(t, s, d, ImportOptions{DryRun: true})
	if len(s.state.Robots.Sorted()) > 0 {
		t.Fatal("a dry run has written")
	}
	if got := imported(t, s, d, ImportOptions{}); got != dry || strings.Count(got, "+ ") != 9 || !strings.Contains(got, "+ robot later (without a secret that anybody knows: rotate it)") {
		t.Errorf("%s\n\nafter the dry run\n%s", got, dry)
	}
	if got := imported(t, s, d, ImportOptions{Prune: true}); got != "" {
		t.Errorf("the second time: %s", got)
	}
	s.call(secret, "GET", "/robots/web+ci", nil).want(200)

	// What is exported is what was imported, without secrets.
	export, err := s.manager.Export(Local("local", "test"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := export.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"name: web+ci", "principal: user:carol", "  - web/**", "locked_out:", "not_after: \"2030-01-01T00:00:00Z\""} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "sha256:") {
		t.Errorf("a hash is exported:\n%s", out)
	}
	if got := imported(t, s, parsed(t, string(out)), ImportOptions{Prune: true}); got != "" {
		t.Errorf("importing the export: %s", got)
	}
	s.call(secret, "GET", "/robots/web+ci", nil).want(200) // its secret is still good

	// Something else by hand: pruned where the document has the list.
	s.admin("PUT", "/robots/hand", `{}`).want(201)
	s.admin("PUT", "/robots/later", `{"description":"x","disabled":true}`).want(200)
	s.admin("PUT", "/read-only", `{"read_only":true}`).want(200)
	want := "~ robot later\n- robot hand\n~ setting read_only"
	if got := imported(t, s, export, ImportOptions{Prune: true}); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	if got := imported(t, s, &Document{Version: 1}, ImportOptions{Prune: true}); got != "" {
		t.Errorf("an empty document prunes: %s", got)
	}
	all := "- robot later\n- robot web+ci"
	if got := imported(t, s, &Document{Version: 1, Robots: []DocumentRobot{}}, ImportOptions{Prune: true}); got != all {
		t.Errorf("an empty list: %s", got)
	}
	events, err := s.state.Events(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if strings.Contains(fmt.Sprint(string(e.Before), string(e.After)), "sha256:") {
			t.Errorf("a hash in %s", e.Action)
		}
	}
}

func TestImportDifferences(t *testing.T) {
	s := newStage(t)
	s.admin("PUT", "/robots/ci", `{"description":"old","from":["10.0.0.0/8"]}`).want(201)
	r, err := s.manager.Import(t.Context(), Local("local", ""), parsed(t, `{version: 1, robots: [{name: ci, description: new}]}`), ImportOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	want := "~ robot ci\n    description: \"old\" → \"new\"\n    from: [\"10.0.0.0/8\"] → (none)"
	if len(r.Changes) != 1 || r.Changes[0].String() != want {
		t.Errorf("%v, want\n%s", r.Changes, want)
	}
}

func TestImportIsAllOrNothing(t *testing.T) {
	s := newStage(t)
	got := s.admin("POST", "/import", `{"version":1,"projects":[{"name":"good","patterns":["good/**"]}],"robots":[{"name":"team-a+x","permissions":[{"name":"other/**","actions":["pull"]}]},{"name":"Bad"}],
		"role_mappings":[{"principal":"user:a","role":"gast"}],"api_keys":[{"name":"k","scopes":["fly"],"hash":"x"}],"owners":[{"repository":"A","principal":"robot:x"}]}`).want(422, CodeInvalid)
	fields := ""
	for _, f := range got.problem().Errors {
		fields += f.Field + " "
	}
	if fields != "role_mappings[0].role robots[0].permissions[0] robots[1].name api_keys[0].hash api_keys[0].scopes[0] owners[0].repository " {
		t.Errorf("%s", fields)
	}
	if _, ok := s.state.Projects.Get("good"); ok {
		t.Error("half of it was done")
	}
	// What is declared, over, or cannot be made is said and passed over.
	got = s.admin("POST", "/import?dry_run=true", `{"version":1,"projects":[{"name":"team-a","patterns":["x/**"]}],"robots":[{"name":"declared"},{"name":"scanner"},{"name":"old","expires":"2001-01-01T00:00:00Z"}],
		"role_mappings":[{"principal":"a","role":"guest","not_after":"2001-01-01T00:00:00Z"}],"api_keys":[{"id":"aaaaaaaaaaaa","name":"k","scopes":["*"]}]}`).want(200)
	if strings.Count(string(got.body), `"skip"`) != 6 {
		t.Errorf("%s", got.body)
	}
	s.admin("POST", "/import?prune=x", `{"version":1}`).want(422)
	s.admin("POST", "/import?dry_run=x", `{"version":1}`).want(422)
	s.call("alice", "POST", "/import", `{"version":1}`).want(403)
	s.call("alice", "GET", "/export", nil).want(403)
	for text, want := range map[string]string{"version: 2": "number from 1 to 1", "{": "reading the document", "version: 1\nrobotz: []": "robotz", "[]": "not a JSON object"} {
		if _, err := ParseDocument([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestImportedKeysAreWithinTheCallers: a key makes no key by importing it that it
// could not make otherwise.
func TestImportedKeysAreWithinTheCallers(t *testing.T) {
	s := newStage(t)
	limited := s.admin("POST", "/keys", `{"name":"limited","scopes":["*"],"from":["192.0.2.0/24"],"expires":"2026-03-02T00:00:00Z"}`).want(201)
	secret := limited.text("secret")
	_, hash := authn.NewSecret(authn.SecretAPIKey)
	document := func(more string) string {
		return `{"version":1,"api_keys":[{"name":"mine","scopes":["*"],"hash":"` + hash + `"` + more + `}]}`
	}
	for _, more := range []string{"", `,"from":["192.0.2.0/24"]`, `,"expires":"2026-03-02T00:00:00Z"`, `,"from":["192.0.0.0/16"],"expires":"2026-03-02T00:00:00Z"`} {
		s.call(secret, "POST", "/import", document(more)).want(422, CodeInvalid)
	}
	s.call(secret, "POST", "/import", document(`,"from":["192.0.2.7"],"expires":"2026-03-01T20:00:00Z"`)).want(200)
	s.call(secret, "POST", "/import", document(``)).want(422, CodeInvalid)
	s.admin("POST", "/import", document(``)).want(200)
	s.call(secret, "POST", "/import", document(``)).want(200) // which changes nothing
}

// TestImportKeepsTheCallersKey has a key prune the others and not itself.
func TestImportKeepsTheCallersKey(t *testing.T) {
	s := newStage(t)
	own, other := s.keyWith("*"), s.keyWith("*")
	s.call(own, "POST", "/import?prune=true", `{"version":1,"api_keys":[]}`).want(200)
	s.call(own, "GET", "/whoami", nil).want(200)
	s.call(other, "GET", "/whoami", nil).want(401)
}

// TestImportOfManyRobots holds the time that a large document takes.
func TestImportOfManyRobots(t *testing.T) {
	s := newStage(t)
	d := &Document{Version: 1}
	for i := range 5000 {
		_, hash := authn.NewSecret(authn.SecretRobot)
		d.Robots = append(d.Robots, DocumentRobot{Name: fmt.Sprint("r", i), SecretHashes: []string{hash}})
	}
	start := time.Now()
	imported(t, s, d, ImportOptions{})
	imported(t, s, d, ImportOptions{Prune: true})
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	if n := len(s.state.Robots.Sorted()); n != 5000 {
		t.Errorf("%d robots", n)
	}
}
