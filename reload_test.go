package registryauth_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
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
