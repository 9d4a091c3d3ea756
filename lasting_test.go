package registryauth_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// accessToken makes an access token for who shows a credential.
func (g *gateway) accessToken(who option) string {
	g.t.Helper()
	a := g.do("POST", "/auth/api/v1/tokens", `{"name":"laptop"}`, who, header("Content-Type", "application/json"))
	var made struct{ Secret string }
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.StatusCode != 201 || made.Secret == "" {
		g.t.Fatalf("making an access token: %d %s", a.StatusCode, a.body)
	}
	return made.Secret
}

// TestAccessTokensEndWithTheirOwners: what users of a file or of the Caddyfile
// made for themselves is worth what they are now.
func TestAccessTokensEndWithTheirOwners(t *testing.T) {
	dir := t.TempDir()
	users, groups := filepath.Join(dir, "users"), filepath.Join(dir, "groups")
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("one"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	alice, carol := "alice:"+string(hash)+"\n", "carol:"+string(hash)+"\n"
	const bob = "bob " + chosenHash + " dev"
	write(users, alice+carol)
	write(groups, "dev: alice\n")
	file := "htpasswd " + users + " {\ngroups " + groups + "\n}\n"
	local := "local {\nprefix local-\nuser " + bob + "\n}\n"
	realm := "project stored/** {\ndeveloper group:dev group:local-dev\n}\n" + file + local
	g := startManaged(t, realm)
	load := func(more string) {
		t.Helper()
		g.load(strings.ReplaceAll(managedRealm, "immutable_nothing", strings.Replace(realm, file+local, more, 1)))
	}
	pats := map[string]string{"alice": g.accessToken(basic("alice", "one")), "bob": g.accessToken(basic("bob", "password"))}
	registry := map[string]option{}
	for name, pat := range pats {
		registry[name] = bearer(g.token("repository:stored/app:pull", basic(name, pat)))
	}
	good := func(what, name string, want int) {
		t.Helper()
		for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			got := g.do("GET", "/v2/stored/app/manifests/v1", "", basic(name, pats[name])).StatusCode
			token := g.do("GET", "/v2/stored/app/manifests/v1", "", registry[name]).StatusCode
			if got == want && (token == want || want == 403 && token == 401) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s gets %d, and %d with a registry token, want %d", what, name, got, token, want)
			}
		}
	}
	good("at first", "alice", 200)
	good("at first", "bob", 200)

	write(groups, "dev: carol\n")
	good("out of the group", "alice", 403)
	write(groups, "dev: alice\n")
	good("in the group again", "alice", 200)
	write(users, carol)
	good("out of the file", "alice", 401)
	write(users, alice)
	good("somebody of that name in the file", "alice", 401)
	for deadline := time.Now().Add(3 * time.Second); g.do("GET", "/v2/", "", basic("alice", "one")).StatusCode != 200; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new alice cannot log in")
		}
	}
	time.Sleep(2 * time.Second) // until the tokens of the one before are forgotten
	pats["alice"] = g.accessToken(basic("alice", "one"))
	registry["alice"] = bearer(g.token("repository:stored/app:pull", basic("alice", pats["alice"])))
	good("with a token of the new one", "alice", 200)

	load(file + local + "passwords off\n")
	good("passwords are off", "alice", 200)
	good("passwords are off", "bob", 200)
	load(file + strings.Replace(local, bob, bob+" {\ndisabled\n}", 1))
	good("disabled", "bob", 401)
	good("somebody else is disabled", "alice", 200)
	load(file)
	good("the block is gone", "bob", 401)
	load(file + local)
	good("the block is there again", "bob", 200)
}
