package clients

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// TestLiveness takes people away at the identity provider, and the provider
// away from the gateway.
func TestLiveness(t *testing.T) {
	process.Need(t, "crane")
	e := needEngines(t)
	s := newPeopleScene(t, "on")
	alice, admin := s.signIn("alice"), s.signIn("admin")
	aliceToken, adminToken := s.accessToken(alice, "alices"), s.accessToken(admin, "admins")

	d := &docker{s.shell("DOCKER_HOST=" + e.DockerHost())}
	if err := d.Login("alice", aliceToken, ""); err != nil {
		t.Fatal(err)
	}
	keptToken(t, d.shell)
	if err := d.Make("team/live", firstTag, []byte("live")); err != nil {
		t.Fatal(err)
	}
	if err := d.Push("team/live", firstTag); err != nil {
		t.Fatal(err)
	}
	works := func(token string) bool { return status(t, s.url+"/v2/", token) == 200 }
	a := &docker{s.shell("DOCKER_HOST=" + e.DockerHost())}
	if err := a.Login("admin", adminToken, ""); err != nil {
		t.Fatal(err)
	}
	adminLogin := keptToken(t, a.shell)
	reads := func() bool {
		text, err := admin.Open(t.Context(), "/v2/")
		return err == nil && !strings.Contains(text, "UNAUTHORIZED")
	}
	for end := time.Now().Add(7 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if !works(aliceToken) || !works(adminToken) { // asked about a few times, with refresh tokens that are good once
			t.Fatal("an access token stopped")
		}
	}

	if err := s.idp.Dismiss(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for works(aliceToken) {
		if time.Since(start) > 4*time.Second {
			t.Fatal("the access token goes on although the person is gone")
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("the access token stopped after %s", time.Since(start).Round(10*time.Millisecond))
	if _, err := d.Pull("team/live", firstTag); err == nil {
		t.Error("the identity token goes on although the person is gone")
	}
	if !works(adminToken) {
		t.Error("somebody else's access token stopped")
	}

	if err := s.idp.Stop(); err != nil {
		t.Log(err)
	}
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if !works(adminToken) || !reads() {
			t.Fatal("an access token or a session stopped because the provider is away")
		}
	}
	res, err := http.PostForm(s.url+"/v2/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {adminLogin}, "service": {s.addr}, "client_id": {"docker"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("an identity token while the provider is away: %s", res.Status)
	}
}
