package registryauth_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// adminKey is a static key of the tests' management API.
const adminKey = "an-administrators-key-of-many-characters"

// managedRealm has an API and nobody who may do anything in stored/**.
const managedRealm = standardRealm + `
	management {
		api_key terraform {env.TEST_ADMIN_KEY}
	}
	immutable_nothing
`

func startManaged(t *testing.T, more string) *gateway {
	t.Helper()
	t.Setenv("TEST_ADMIN_KEY", adminKey)
	return startGateway(t, strings.ReplaceAll(managedRealm, "immutable_nothing", more))
}

// managed is managedRealm without anything more, to load again.
func managed() string { return strings.ReplaceAll(managedRealm, "immutable_nothing", "") }

// manage calls the API with the static key and returns the decoded answer.
func (g *gateway) manage(method, path, body string, want int) map[string]any {
	g.t.Helper()
	a := g.do(method, "/auth/api/v1"+path, body, bearer(adminKey), header("Content-Type", "application/json"))
	if a.StatusCode != want {
		g.t.Fatalf("%s %s: %d %s, want %d", method, path, a.StatusCode, a.body, want)
	}
	var decoded map[string]any
	_ = json.Unmarshal([]byte(a.body), &decoded)
	return decoded
}

// TestStoredRobot: a robot that is made at run time logs in, does what it may
// and nothing else, has its secret rotated and ends with all that it was given.
func TestStoredRobot(t *testing.T) {
	g := startManaged(t, "")
	made := g.manage("PUT", "/robots/deploy", `{"permissions":[{"type":"repository","name":"stored/*","actions":["pull","push"]}]}`, 201)
	secret, _ := made["secret"].(string)
	if secret == "" {
		t.Fatalf("no secret: %v", made)
	}
	status := func(method, path string, o option) int { return g.do(method, path, "", o).StatusCode }
	login := basic("robot$deploy", secret)
	token := bearer(g.token("repository:stored/app:pull,push", login))
	for _, step := range []struct {
		method, path string
		who          option
		want         int
	}{
		{"GET", "/v2/stored/app/manifests/v1", login, 200},
		{"GET", "/v2/stored/app/manifests/v1", token, 200},
		{"POST", "/v2/stored/app/blobs/uploads/", token, 200},
		{"GET", "/v2/team/app/manifests/v1", login, 403},
		{"DELETE", "/v2/stored/app/manifests/v1", login, 403},
		{"GET", "/v2/stored/app/manifests/v1", basic("robot$deploy", g.robot), 401},
	} {
		if got := status(step.method, step.path, step.who); got != step.want {
			t.Errorf("%s %s: %d, want %d", step.method, step.path, got, step.want)
		}
	}
	rotated := g.manage("POST", "/robots/deploy/rotate", `{"overlap_seconds":1}`, 200)
	fresh, _ := rotated["secret"].(string)
	if got := status("GET", "/v2/stored/app/manifests/v1", login); got != 200 {
		t.Errorf("the old secret in the overlap: %d", got)
	}
	if got := status("GET", "/v2/stored/app/manifests/v1", basic("robot-deploy", fresh)); got != 200 {
		t.Errorf("the new secret: %d", got)
	}
	within(t, 3*time.Second, "the old secret and its token are good", func() bool {
		return status("GET", "/v2/stored/app/manifests/v1", login) == 401 && status("GET", "/v2/stored/app/manifests/v1", token) == 401
	})
	token = bearer(g.token("repository:stored/app:pull", basic("deploy", fresh)))
	if got := status("GET", "/v2/stored/app/manifests/v1", token); got != 200 {
		t.Errorf("the new token: %d", got)
	}
	g.manage("DELETE", "/robots/deploy", "", 204)
	if got := status("GET", "/v2/stored/app/manifests/v1", token); got != 401 {
		t.Errorf("the token of a robot that is gone: %d", got)
	}
}

// TestStoredRules: role mappings, projects and the read-only switch are in
// force within a second, also for tokens that were issued before.
func TestStoredRules(t *testing.T) {
	g := startManaged(t, "")
	login := basic("ci", g.robot)
	get := func(method, path string, o option) func(int) func() bool {
		return func(want int) func() bool {
			return func() bool { return g.do(method, path, "", o).StatusCode == want }
		}
	}
	pull := get("GET", "/v2/stored/app/manifests/v1", login)
	if !pull(403)() {
		t.Error("before: allowed")
	}
	g.manage("PUT", "/role-mappings/robot:ci", `{"role":"developer","patterns":["stored/**"]}`, 201)
	within(t, time.Second, "the role mapping is not in force", pull(200))
	token := bearer(g.token("repository:stored/app:pull,push", login))
	byToken := get("GET", "/v2/stored/app/manifests/v1", token)
	if !byToken(200)() {
		t.Error("by token: refused")
	}
	g.manage("DELETE", "/role-mappings/robot:ci", "", 204)
	within(t, time.Second, "a token of a user who lost the role is good", byToken(401))

	g.manage("PUT", "/projects/stored", `{"patterns":["stored/**"],"members":[{"role":"developer","subject":"robot:ci"}]}`, 201)
	within(t, time.Second, "the project is not in force", byToken(200))
	push := get("PUT", "/v2/stored/app/manifests/v1", login)
	g.manage("PUT", "/read-only", `{"read_only":true}`, 200)
	within(t, time.Second, "read-only is not in force", push(403))
	if !pull(200)() {
		t.Error("read-only refuses pulls")
	}
	g.manage("PUT", "/read-only", `{"read_only":false}`, 200)
	within(t, time.Second, "read-only is still in force", push(200))

	g.manage("POST", "/revocations", `{"principal":"robot:ci"}`, 201)
	within(t, time.Second, "what was issued before is good", byToken(401))
}

// TestStoredNames: what is known as a robot by rules is no stored robot's name.
// TestChangesAreInForce: a rule holds here as soon as it is said to be made.
func TestChangesAreInForce(t *testing.T) {
	g := startManaged(t, "")
	var members []string // so many that a policy takes some time
	for i := range 60 {
		members = append(members, fmt.Sprintf(`{"subject":"user:u%d","role":"developer","when":"request.method != \"%d\""}`, i, i))
	}
	g.manage("PUT", "/projects/big", `{"patterns":["big/**"],"members":[`+strings.Join(members, ",")+`]}`, 201)
	for i := range 5 {
		g.manage("PUT", "/role-mappings/robot:ci", `{"role":"developer","patterns":["stored/**"]}`, 201)
		if got := g.do("GET", "/v2/stored/app/manifests/v1", "", basic("ci", g.robot)).StatusCode; got != 200 {
			t.Fatalf("%d: a role that was given: %d", i, got)
		}
		g.manage("DELETE", "/role-mappings/robot:ci", "", 204)
		if got := g.do("GET", "/v2/stored/app/manifests/v1", "", basic("ci", g.robot)).StatusCode; got != 403 {
			t.Fatalf("%d: a role that was taken: %d", i, got)
		}
	}
}

func TestStoredNames(t *testing.T) {
	g := startManaged(t, `
	service_secret scanner {
		secret_hash HASH
		from 127.0.0.0/8
	}
	workload release https://token.actions.githubusercontent.com {
		audience registry.test
		require repository acme/app
		as robot:deployer
	}
`)
	for _, name := range []string{"ci", "scanner", "deployer"} {
		g.manage("PUT", "/robots/"+name, `{}`, 409)
	}
	g.manage("PUT", "/robots/other", `{}`, 201)
	if a := g.do("GET", "/auth/api/v1/export/distribution", "", bearer(adminKey)); a.StatusCode != 200 || !strings.Contains(a.body, "http://registry.test/v2/token") {
		t.Errorf("export: %d %s", a.StatusCode, a.body)
	}
	if a := g.do("GET", "/auth/api/v1/export/jwks", "", bearer(adminKey)); a.StatusCode != 200 || !strings.Contains(a.body, `"keys"`) {
		t.Errorf("export of the key set: %d %s", a.StatusCode, a.body)
	}
}

// TestStateSurvives: a reload and a restart forget nothing, and tokens stay
// good.
func TestStateSurvives(t *testing.T) {
	g := startManaged(t, "")
	made := g.manage("PUT", "/robots/deploy", `{"permissions":[{"type":"repository","name":"stored/*","actions":["pull"]}]}`, 201)
	secret, _ := made["secret"].(string)
	token := bearer(g.token("repository:stored/app:pull", basic("deploy", secret)))
	good := func() bool {
		return g.do("GET", "/v2/stored/app/manifests/v1", "", token).StatusCode == http.StatusOK &&
			g.do("GET", "/v2/stored/app/manifests/v1", "", basic("deploy", secret)).StatusCode == http.StatusOK
	}
	g.load(strings.ReplaceAll(managedRealm, "immutable_nothing", "anonymous_read other/**"))
	if !good() {
		t.Error("after a reload: refused")
	}
	g.manage("POST", "/signing-keys/rotate", "", 200)
	if !good() {
		t.Error("after a rotation: refused")
	}
	if next := bearer(g.token("repository:stored/app:pull", basic("deploy", secret))); g.do("GET", "/v2/stored/app/manifests/v1", "", next).StatusCode != 200 {
		t.Error("a token of the new key: refused")
	}
	g.restart(strings.ReplaceAll(managedRealm, "immutable_nothing", ""))
	if !good() {
		t.Error("after a restart: refused")
	}
}

// TestBootstrap: a fresh gateway gives its first administrator a key, once.
func TestBootstrap(t *testing.T) {
	t.Setenv("TEST_BOOTSTRAP", "the-secret-that-the-script-shows-once")
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	g := startGateway(t, standardRealm+`
	management {
		bootstrap {
			secret {env.TEST_BOOTSTRAP}
		}
	}`)
	call := func(method, body string, want int, o ...option) map[string]any {
		t.Helper()
		a := g.do(method, "/auth/api/v1/bootstrap", body, append(o, header("Content-Type", "application/json"))...)
		if a.StatusCode != want {
			t.Fatalf("%s: %d %s, want %d", method, a.StatusCode, a.body, want)
		}
		var decoded map[string]any
		_ = json.Unmarshal([]byte(a.body), &decoded)
		return decoded
	}
	call("GET", "", 204)
	call("POST", `{"secret":"another-secret-that-is-not-the-one"}`, 401)
	made := call("POST", `{"secret":"`+os.Getenv("TEST_BOOTSTRAP")+`"}`, 201)
	call("GET", "", 404)
	call("POST", `{"secret":"`+os.Getenv("TEST_BOOTSTRAP")+`"}`, 409)
	key, _ := made["key"].(string)
	if a := g.do("PUT", "/auth/api/v1/robots/x", `{"permissions":[]}`, bearer(key), header("Content-Type", "application/json")); a.StatusCode != 201 {
		t.Errorf("with the key: %d %s (%v)", a.StatusCode, a.body, made)
	}
}
