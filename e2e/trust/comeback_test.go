package trust

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/slapd"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// eventually waits for something that the gateway does in the background.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 20 seconds: ", what)
		}
	}
}

// accessToken has somebody make an access token.
func (s *scene) accessToken(credential string) string {
	s.t.Helper()
	var made struct{ Secret string }
	body := s.wants(201, "POST", "/auth/api/v1/tokens", `{"name":"laptop"}`, credential, jsonBody)
	if err := json.Unmarshal([]byte(body), &made); err != nil || made.Secret == "" {
		s.t.Fatalf("no access token: %v: %s", err, body)
	}
	return made.Secret
}

// is reports whether a credential is answered so.
func (s *scene) is(status int, credential string) bool {
	res, _ := s.call("GET", "/v2/", "", credential)
	return res.StatusCode == status
}

func TestNameThatComesBackToTheFileIsSomebodyElse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	write := func(names ...string) {
		t.Helper()
		text := ""
		for _, name := range names {
			hash, err := bcrypt.GenerateFromPassword([]byte(name+"-pw"), bcrypt.MinCost)
			if err != nil {
				t.Fatal(err)
			}
			text += name + ":" + string(hash) + "\n"
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("alice", "bob")
	site := `http://ADDR {
	registry_auth {
		htpasswd ` + file + `
		owner_only repository
		management {
			api_key test {env.ADMIN_KEY}
		}
		project ** {
			developer authenticated
		}
	}
	reverse_proxy UPSTREAM
}`
	s := start(t, site, created)
	alice := basic("alice", "alice-pw")
	pat := bearer(s.accessToken(alice))
	registry := bearer(s.tokenFor("repository:team/app:pull,push", alice))
	if status, body := s.pushes(alice); status != 201 {
		t.Fatalf("%d: %s", status, body)
	}
	if status, _ := s.pushes(basic("bob", "bob-pw")); status != 403 {
		t.Fatalf("who does not own the repository pushes: %d", status)
	}

	write("bob")
	eventually(t, "alice leaves", func() bool { return s.is(401, alice) })
	if !s.is(401, pat) {
		t.Error("the access token outlives its owner")
	}
	write("alice", "bob")
	eventually(t, "the new alice", func() bool { return s.is(200, alice) })
	if !s.is(401, pat) {
		t.Error("the access token is good for the next person of that name")
	}
	if status, _ := s.pushes(registry); status != 401 {
		t.Errorf("the registry token of the one before: %d", status)
	}
	// What the one before owned is nobody's, and an administrator can hand it over.
	eventually(t, "the repository is not the new alice's", func() bool { status, _ := s.pushes(alice); return status == 403 })
	if !s.is(401, pat) {
		t.Error("written down, the access token is good again")
	}
	var users struct{ Items []struct{ ID, Name string } }
	if err := json.Unmarshal([]byte(s.wants(200, "GET", "/auth/api/v1/users", "", bearer(adminKey))), &users); err != nil {
		t.Fatal(err)
	}
	for _, u := range users.Items {
		var one struct{ Former []string }
		if err := json.Unmarshal([]byte(s.wants(200, "GET", "/auth/api/v1/users/"+u.ID, "", bearer(adminKey))), &one); err != nil {
			t.Fatal(err)
		}
		if want := u.Name == "alice"; want != slices.Contains(one.Former, "team/app") {
			t.Errorf("%s: former %v", u.Name, one.Former)
		}
	}
	s.wants(200, "PUT", "/auth/api/v1/owners/team%2Fapp", `{"principal":"user:alice"}`, bearer(adminKey), jsonBody)
	if status, body := s.pushes(alice); status != 201 {
		t.Errorf("handed over: %d: %s", status, body)
	}
	time.Sleep(time.Second) // tokens are dated to the second, and none of the second in which somebody left counts
	if !s.is(200, bearer(s.accessToken(alice))) {
		t.Error("the new alice cannot have an access token")
	}
}

func TestNameThatComesBackToTheCaddyfileIsSomebodyElse(t *testing.T) {
	site := func(users string) string {
		return `http://ADDR {
	registry_auth {
		local {
			user bob {env.PASSWORD}
			` + users + `
		}
		management
		project ** {
			developer authenticated
		}
	}
	reverse_proxy UPSTREAM
}`
	}
	s := start(t, site("user alice {env.PASSWORD}"), created, "PASSWORD="+stage.LocalHash)
	alice := basic("alice", stage.LocalPassword)
	pat := bearer(s.accessToken(alice))
	if !s.is(200, pat) {
		t.Fatal("no access token")
	}
	s.reload(site(""))
	eventually(t, "alice leaves", func() bool { return s.is(401, alice) && s.is(401, pat) })
	time.Sleep(500 * time.Millisecond) // until it is written down
	s.reload(site("user alice {env.PASSWORD}"))
	if !s.is(200, alice) {
		t.Error("the new alice cannot log in")
	}
	if !s.is(401, pat) {
		t.Error("the access token is good for the next person of that name")
	}
}

func TestEntryMadeAnewIsSomebodyElse(t *testing.T) {
	server := directory(t)
	s := start(t, withDirectory(server, "recheck 1s\n\t\t\tcache 1s"), created, "LDAP_PASSWORD="+slapd.ServicePassword)
	alice := basic("alice", "alice-pw")
	pat := bearer(s.accessToken(alice))
	// Between two looks of the gateway, so that it is never seen to be missing.
	for _, change := range []string{
		"dn: uid=alice," + slapd.People + "\nchangetype: delete\n",
		"dn: uid=alice," + slapd.People + "\nchangetype: add\nobjectClass: inetOrgPerson\nuid: alice\ncn: Alice\nsn: Ant\nuserPassword: alice-pw\n",
	} {
		if err := server.Change(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the access token ends", func() bool { return s.is(401, pat) })
	if !s.is(200, alice) {
		t.Error("the new alice cannot log in")
	}
	time.Sleep(2 * time.Second)
	if !s.is(401, pat) {
		t.Error("the access token is good for the next person of that name")
	}
	if !s.is(200, bearer(s.accessToken(alice))) {
		t.Error("the new alice cannot have an access token")
	}
}

// TestEntryThatMovesIsTheSamePerson: a new name of the entry is no new person.
func TestEntryThatMovesIsTheSamePerson(t *testing.T) {
	server := directory(t)
	s := start(t, withDirectory(server, "recheck 1s\n\t\t\tcache 1s"), created, "LDAP_PASSWORD="+slapd.ServicePassword)
	pat := bearer(s.accessToken(basic("alice", "alice-pw")))
	move := "dn: uid=alice," + slapd.People + "\nchangetype: modrdn\nnewrdn: cn=Alice\ndeleteoldrdn: 0\n"
	if err := server.Change(t.Context(), move); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	if !s.is(200, pat) || !s.is(200, basic("alice", "alice-pw")) {
		t.Error("who is called otherwise in the directory is out")
	}
}
