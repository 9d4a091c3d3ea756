package cluster

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// TestRestoredWhileCutOff: the database is put back to an older dump while one
// gateway is cut off, and another writes on until the numbers are the same
// again. The first has what the other has when the line is mended.
func TestRestoredWhileCutOff(t *testing.T) {
	db := database(t)
	line, dsn := db.Line(t)
	image := registry(t).URL
	a, b := configure(t, onPostgres, image, withKey, "DSN="+db.DSN()), configure(t, onPostgres, image, withKey, "DSN="+dsn)
	a.start(t)
	b.start(t)
	kept := a.robot(t, "kept")
	if err := db.Shell(dump); err != nil {
		t.Fatal(err)
	}
	later := a.robot(t, "later")
	within(t, 2*time.Second, "both know", func() bool { return b.status(t, kept) == 200 && b.status(t, later) == 200 })
	line.Cut()
	within(t, 5*time.Second, "it is cut off", func() bool { return b.metric(t, "caddy_registry_auth_store_up") == 0 })
	a.Kill()
	if err := db.Shell(restore); err != nil {
		t.Fatal(err)
	}
	if err := a.Restart(t.Context(), a.config); err != nil {
		t.Fatal(err)
	}
	before := b.metric(t, "caddy_registry_auth_store_sequence")
	for i := 0; a.metric(t, "caddy_registry_auth_store_sequence") <= before && i < 1000; i++ {
		a.api(t, "PUT", "/read-only", `{"read_only":false}`, 200)
	}
	a.api(t, "DELETE", "/robots/kept", "", 204)
	b.want(t, "who is cut off does not know", later, 200)
	line.Mend()
	within(t, 5*time.Second, "what was lost is lost, and what was deleted is deleted", func() bool {
		return b.status(t, later) == 401 && b.status(t, kept) == 401
	})
	fresh := b.robot(t, "fresh")
	within(t, 2*time.Second, "they go on together", func() bool { return a.status(t, fresh) == 200 })
}

// TestMaxStale: a gateway that is cut off for longer than it may refuses what
// only the store vouches for, and says that it is not the secret that is wrong.
func TestMaxStale(t *testing.T) {
	db := database(t)
	line, dsn := db.Line(t)
	secret, hash := stage.NewSecret()
	n := configure(t, onPostgres, registry(t).URL, withKey+`
		robot declared {
			secret_hash {env.HASH}
		}
		project team/** {
			developer robot:declared
		}`, "DSN="+dsn, "HASH="+hash)
	n.config.Global = strings.Replace(n.config.Global, "	registry_auth {\n", "	registry_auth {\n		max_stale 10s\n", 1)
	n.start(t)
	login := n.robot(t, "ci")
	token := n.token(t, login)
	declared := stage.Basic("robot$declared", secret)
	n.want(t, "a declared robot", declared, 200)
	line.Cut()
	health := func() string { return n.send(t.Context(), "GET", "/auth/api/v1/health", "", "").body }
	within(t, 5*time.Second, "away", func() bool { return strings.Contains(health(), `"away"`) })
	n.want(t, "at first it goes on", login, 200)
	within(t, 20*time.Second, "stale", func() bool { return strings.Contains(health(), `"stale"`) })
	for what, authorization := range map[string]string{"a stored robot": login, "its token": token} {
		r := n.send(t.Context(), http.MethodGet, manifest, authorization, "")
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || !strings.Contains(r.body, "not heard from its store") {
			t.Errorf("%s: %d %s", what, r.StatusCode, r.body)
		}
	}
	if r := n.send(t.Context(), http.MethodGet, "/v2/token?service="+stage.Service+"&scope=repository:team/app:pull", login, ""); r.StatusCode != 503 {
		t.Errorf("token endpoint: %d %s", r.StatusCode, r.body)
	}
	n.want(t, "a declared robot", declared, 200)
	line.Mend()
	within(t, 5*time.Second, "back", func() bool { return n.status(t, login) == 200 && n.status(t, token) == 200 })
}

// TestReloadWithoutDatabase: the same settings again ask nothing of a database
// that is away.
func TestReloadWithoutDatabase(t *testing.T) {
	db := database(t)
	n := configure(t, onPostgres, registry(t).URL, withKey, "DSN="+db.DSN())
	n.start(t)
	login := n.robot(t, "ci")
	token := n.token(t, login)
	if err := db.Crash(); err != nil {
		t.Fatal(err)
	}
	for _, config := range []string{"", "explain_denials", ""} {
		changed := n.config
		changed.Sites = strings.Replace(changed.Sites, "other_paths pass", "other_paths pass\n"+config, 1)
		start := time.Now()
		if err := n.Reload(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		t.Logf("reload took %s", time.Since(start))
		http.DefaultClient.CloseIdleConnections()
		n.want(t, "a robot", login, 200)
		n.want(t, "its token", token, 200)
	}
}
