package cluster

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/postgres"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// onPostgres is the store of all gateways of a test.
const onPostgres = "postgres {env.DSN}"

// database starts a PostgreSQL for a test.
func database(t *testing.T) *postgres.Server {
	t.Helper()
	postgres.Need(t)
	db, err := postgres.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Stop(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// pair starts two gateways on one empty database at the same moment.
func pair(t *testing.T, lines string, env ...string) (a, b *node, db *postgres.Server) {
	t.Helper()
	db = database(t)
	upstream := registry(t)
	env = append(env, "DSN="+db.DSN())
	first, second := configure(t, onPostgres, upstream.URL, lines, env...), configure(t, onPostgres, upstream.URL, lines, env...)
	first.launch(t)
	second.launch(t)
	for _, n := range []*node{first, second} {
		if err := n.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return first, second, db
}

// TestTwo is a day of two gateways.
func TestTwo(t *testing.T) {
	process.Need(t, "skopeo", "crane")
	a, b, db := pair(t, withKey)

	t.Run("a robot made on one logs in on the other", func(t *testing.T) {
		login := a.robot(t, "deploy")
		took := within(t, time.Second, "login on B", func() bool { return b.status(t, login) == 200 })
		t.Logf("good on B after %s", took)
		secret := secretOf(t, login)
		for _, client := range [][]string{
			{"skopeo", "login", "--tls-verify=false", "--username", "robot$deploy", "--password-stdin", b.Addr},
			{"crane", "auth", "login", b.Addr, "--username", "robot$deploy", "--password-stdin"},
			{"crane", "manifest", "--insecure", b.Addr + "/team/app:x"},
		} {
			tool(t, secret, client...)
		}
	})
	t.Run("disabled on one, its token is refused by the other", func(t *testing.T) {
		for _, end := range []struct{ name, method, path, body string }{
			{"disabled", "PATCH", "/robots/disabled", `{"disabled":true}`},
			{"deleted", "DELETE", "/robots/deleted", ""},
			{"revoked", "POST", "/revocations", `{"principal":"robot:revoked"}`},
			{"rotated", "POST", "/robots/rotated/rotate", `{"overlap_seconds":0}`},
		} {
			login := a.robot(t, end.name)
			within(t, time.Second, "login on B", func() bool { return b.status(t, login) == 200 })
			token := b.token(t, login)
			b.want(t, end.name+": its token before", token, 200)
			if r := a.send(t.Context(), end.method, "/auth/api/v1"+end.path, "Bearer "+adminKey, end.body); r.StatusCode >= 300 {
				t.Fatalf("%s: %d %s", end.name, r.StatusCode, r.body)
			}
			a.want(t, end.name+": at once on A", token, 401)
			took := within(t, time.Second, end.name+": refused by B", func() bool { return b.status(t, token) == 401 })
			t.Logf("%s: refused by B after %s", end.name, took)
		}
	})
	t.Run("signing keys rotate", func(t *testing.T) { rotateKeys(t, a, b) })
	t.Run("the database is away", func(t *testing.T) { databaseAway(t, a, b, db) })
	t.Run("one is killed", func(t *testing.T) {
		login := a.robot(t, "survivor")
		token := a.token(t, login)
		within(t, time.Second, "login on B", func() bool { return b.status(t, login) == 200 })
		a.Kill()
		b.want(t, "token of A", token, 200)
		b.want(t, "login", login, 200)
		b.want(t, "a new token", b.token(t, login), 200)
		late := b.robot(t, "late")
		if err := a.Restart(t.Context(), a.config); err != nil {
			t.Fatal(err)
		}
		a.want(t, "what was made in that time", late, 200)
		a.want(t, "its own token of before", token, 200)
	})
}

// rotateKeys rotates on A: what was signed before stays good everywhere, what
// A signs from then on is good on B at once.
func rotateKeys(t *testing.T, a, b *node) {
	login := a.robot(t, "signer")
	within(t, time.Second, "login on B", func() bool { return b.status(t, login) == 200 })
	before := []string{a.token(t, login), b.token(t, login)}
	for range 3 {
		a.api(t, "POST", "/signing-keys/rotate", "", 200)
		token := a.token(t, login)
		b.want(t, "a token of A right after the rotation, on B", token, 200)
		before = append(before, token, b.token(t, login))
	}
	for i, token := range before {
		a.want(t, fmt.Sprint("on A: token ", i), token, 200)
		b.want(t, fmt.Sprint("on B: token ", i), token, 200)
	}
	a.api(t, "POST", "/signing-keys/revoke-all", "", 200)
	a.want(t, "on A after revoke-all", before[0], 401)
	within(t, time.Second, "refused by B", func() bool { return b.status(t, before[0]) == 401 && b.status(t, before[1]) == 401 })
	b.want(t, "a token of the new key of A, on B", a.token(t, login), 200)
}

// databaseAway stops the database for some seconds: everything that is known
// goes on, writes are refused, and nobody has to be restarted.
func databaseAway(t *testing.T, a, b *node, db *postgres.Server) {
	login := a.robot(t, "patient")
	within(t, time.Second, "login on B", func() bool { return b.status(t, login) == 200 })
	token := a.token(t, login)
	mark := b.Log.Mark()
	if err := db.Crash(); err != nil {
		t.Fatal(err)
	}
	health := func(n *node) string {
		r := n.send(t.Context(), "GET", "/auth/api/v1/health", "", "")
		if r.StatusCode != 200 {
			t.Errorf("health: %d %s", r.StatusCode, r.body)
		}
		return r.body
	}
	for _, n := range []*node{a, b} {
		within(t, 3*time.Second, "health says so", func() bool { return strings.Contains(health(n), `"degraded"`) })
		if up := n.metric(t, "caddy_registry_auth_store_up"); up != 0 {
			t.Errorf("store_up is %v", up)
		}
	}
	if _, err := b.Log.Wait(mark, logged("the store is away: what is known goes on, nothing can be changed")); err != nil {
		t.Error(err)
	}
	for range 30 { // three seconds
		for _, n := range []*node{a, b} {
			n.want(t, "login without the database", login, 200)
			n.want(t, "token without the database", token, 200)
			n.want(t, "a new token without the database", n.token(t, login), 200)
		}
		time.Sleep(100 * time.Millisecond)
	}
	r := a.send(t.Context(), "PUT", "/auth/api/v1/robots/nobody", "Bearer "+adminKey, `{"permissions":[]}`)
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || !strings.Contains(r.body, "#unavailable") {
		t.Errorf("a write without the database: %d, Retry-After %q, %s", r.StatusCode, r.Header.Get("Retry-After"), r.body)
	}
	if err := db.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{a, b} {
		within(t, 3*time.Second, "health is good again", func() bool { return strings.Contains(health(n), `"ok"`) })
		if up := n.metric(t, "caddy_registry_auth_store_up"); up != 1 {
			t.Errorf("store_up is %v", up)
		}
	}
	if _, err := b.Log.Wait(mark, logged("the store is back")); err != nil {
		t.Error(err)
	}
	fresh := b.robot(t, "after")
	within(t, time.Second, "login on A", func() bool { return a.status(t, fresh) == 200 })
	a.want(t, "the token of before", token, 200)
}

// TestBootstrapRace: of many calls on two gateways one gets a key.
func TestBootstrapRace(t *testing.T) {
	const secret = "the-bootstrap-secret-of-both-gateways"
	a, b, _ := pair(t, "management {\n bootstrap {\n secret {env.BOOTSTRAP_SECRET}\n }\n }", "BOOTSTRAP_SECRET="+secret)
	var all sync.WaitGroup
	answers := make(chan reply, 50)
	begin := make(chan struct{})
	for i := range cap(answers) {
		n := []*node{a, b}[i%2]
		all.Go(func() {
			<-begin
			answers <- n.send(context.WithoutCancel(t.Context()), "POST", "/auth/api/v1/bootstrap", "", `{"secret":"`+secret+`"}`)
		})
	}
	close(begin)
	all.Wait()
	close(answers)
	count := map[int]int{}
	for r := range answers {
		count[r.StatusCode]++
		if r.StatusCode != http.StatusCreated && r.StatusCode != http.StatusConflict {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
	}
	if count[http.StatusCreated] != 1 {
		t.Errorf("answers by status: %v, want one 201", count)
	}
}

// TestStartWithoutDatabase: a gateway that starts first says so, and is ready
// by itself.
func TestStartWithoutDatabase(t *testing.T) {
	db := database(t)
	n := configure(t, onPostgres, registry(t).URL, withKey, "DSN="+db.DSN())
	if err := db.Crash(); err != nil {
		t.Fatal(err)
	}
	n.launch(t)
	var r reply
	within(t, 20*time.Second, "an answer", func() bool {
		r = n.send(t.Context(), "GET", "/v2/", "", "")
		return r.StatusCode != 0
	})
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("/v2/ without the database: %d, Retry-After %q: %s", r.StatusCode, r.Header.Get("Retry-After"), r.body)
	}
	for _, path := range []string{"/auth/api/v1/bootstrap", "/auth/api/v1/health", "/v2/token"} {
		if r := n.send(t.Context(), "GET", path, "", ""); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s without the database: %d, Retry-After %q: %s", path, r.StatusCode, r.Header.Get("Retry-After"), r.body)
		}
	}
	if up := n.metric(t, "caddy_registry_auth_store_up"); up != 0 {
		t.Errorf("store_up is %v", up)
	}
	if err := db.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, 8*time.Second, "ready", func() bool { return n.send(t.Context(), "GET", "/v2/", "", "").StatusCode == 401 })
	n.want(t, "a robot", n.robot(t, "first"), 200)
}

// tool runs a client with something on its standard input and credentials of
// its own.
func tool(t *testing.T, input string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(cmd.Environ(), "HOME="+home(t), "DOCKER_CONFIG="+home(t), "REGISTRY_AUTH_FILE="+home(t)+"/config.json")
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}
