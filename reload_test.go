package registryauth_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/realm"
)

// TestReload: tokens stay good, an upload in flight goes on, a robot that was
// taken out of the configuration is refused at once, also with a token that
// it got before.
func TestReload(t *testing.T) {
	g := startGateway(t, standardRealm)
	token := g.token("repository:team/app:pull,push", basic("robot$ci", g.robot))

	body, writer := io.Pipe()
	done := make(chan answer)
	g.upstream.respond(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusAccepted) })
	go func() {
		r, _ := http.NewRequestWithContext(t.Context(), "PATCH", g.url+"/v2/team/app/blobs/uploads/u1", body)
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := g.client.Do(r)
		if err != nil {
			t.Error(err)
			close(done)
			return
		}
		defer response.Body.Close()
		done <- answer{Response: response}
	}()
	_, _ = writer.Write([]byte("first half"))
	for deadline := time.Now().Add(5 * time.Second); len(g.upstream.seen()) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the upload does not reach the registry")
		}
	}
	g.load(standardRealm + "explain_denials\n")
	if a := g.do("GET", manifest, "", bearer(token)); a.StatusCode != http.StatusAccepted {
		t.Errorf("token after reload: %d %s", a.StatusCode, a.body)
	}
	_, _ = writer.Write([]byte("second half"))
	writer.Close()
	select {
	case a, ok := <-done:
		if ok && a.StatusCode != http.StatusAccepted {
			t.Errorf("upload over a reload: %d", a.StatusCode)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the upload hangs")
	}

	_, rotated := authn.NewSecret(authn.SecretRobot)
	g.load(strings.ReplaceAll(standardRealm, "HASH", rotated))
	if a := g.do("GET", manifest, "", bearer(token)); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("token of a secret that was replaced: %d", a.StatusCode)
	}
	g.load(strings.ReplaceAll(standardRealm, "HASH", rotated+" "+g.hash))
	if a := g.do("GET", manifest, "", bearer(token)); a.StatusCode != http.StatusAccepted {
		t.Errorf("token while both secrets are good: %d", a.StatusCode)
	}
	g.load(strings.ReplaceAll(standardRealm, "robot ci", "robot other"))
	if a := g.do("GET", manifest, "", bearer(token)); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("token of a removed robot: %d", a.StatusCode)
	}
}

func TestSameRealmTwice(t *testing.T) {
	g := startGateway(t, standardRealm)
	text := g.caddyfile(strings.ReplaceAll(standardRealm, "HASH", g.hash))
	site := text[strings.Index(text, "\nhttp://")+1:]
	other := strings.Replace(site, g.url, "http://"+freeAddress(t), 1)
	if err := loadCaddyfile(t, text+other); err != nil {
		t.Errorf("two sites with the same realm: %v", err)
	}
	err := loadCaddyfile(t, text+strings.Replace(other, "public_url http://registry.test", "public_url http://other.test", 1))
	if err == nil || !strings.Contains(err.Error(), "declared twice") {
		t.Errorf("two different realms of one name: %v", err)
	}
	if err := loadCaddyfile(t, text+strings.Replace(other, "registry_auth {", "registry_auth {\nrealm second", 1)); err != nil {
		t.Errorf("two realms: %v", err)
	}
}

// TestValidateMakesNoKeys: a configuration that is only checked leaves nothing
// behind; one that is loaded leaves the store with the signing keys.
func TestValidateMakesNoKeys(t *testing.T) {
	g := startGateway(t, standardRealm)
	keys := func() int {
		found, err := filepath.Glob(g.storage + "/state.db")
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if keys() != 1 {
		t.Fatalf("%d stores after the start", keys())
	}
	g.storage = t.TempDir()
	text := g.caddyfile(strings.ReplaceAll(standardRealm, "HASH", g.hash))
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Fatal(err)
	}
	if keys() != 0 {
		t.Error("validating made keys")
	}
}

// TestReloadsAreNotNoticed: while one configuration takes over from another, no
// request whose credential is good is refused, by either of the two.
func TestReloadsAreNotNoticed(t *testing.T) {
	g := startGateway(t, standardRealm)
	g.upstream.respond(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	token := g.token("repository:team/app:pull,push", basic("robot$ci", g.robot))
	var asked atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	for i := range 6 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+manifest, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if r.Header.Set("Authorization", "Bearer "+token); i%2 == 0 {
					r.SetBasicAuth("robot$ci", g.robot)
				}
				asked.Add(1)
				res, err := client.Do(r)
				if err != nil {
					t.Log(err) // Caddy closes idle connections, which is seen by requests on their way
					continue
				}
				body, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", res.Status, body)
				}
			}
		})
	}
	for i := range 30 {
		g.load(standardRealm + []string{"", "explain_denials\n"}[i%2])
		time.Sleep(20 * time.Millisecond)
	}
	close(stop)
	group.Wait()
	t.Log(asked.Load(), "requests")
}

// TestRequestOfAnEndedConfiguration: a request that comes by a configuration
// which was replaced in that moment is served by the one in force.
func TestRequestOfAnEndedConfiguration(t *testing.T) {
	g := startGateway(t, standardRealm)
	app, err := caddy.ActiveContext().AppIfConfigured("registry_auth")
	if err != nil {
		t.Fatal(err)
	}
	ended, err := app.(*realm.App).Realm("")
	if err != nil {
		t.Fatal(err)
	}
	g.load(standardRealm + "explain_denials\n")
	for range 2 { // whoever takes it gives it back
		run := ended.Take(t.Context())
		if run == nil {
			t.Fatal("it is told that the gateway is starting")
		}
		if run.Front != g.front() || !run.Front.Explain {
			t.Error("served by the configuration that has ended")
		}
		run.Leave()
	}
	g.load(standardRealm)
	if g.front().Explain {
		t.Error("the configuration in between is still in force")
	}
}
