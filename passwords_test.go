package registryauth_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestNamesOfPasswordAuthenticators: two sources of names must not be
// mistaken for each other, and the same source may be there twice.
func TestNamesOfPasswordAuthenticators(t *testing.T) {
	g := startGateway(t, standardRealm)
	const (
		oidc     = "oidc http://127.0.0.1:1/a registry\n"
		clients  = "basic_exchange http://127.0.0.1:1/a\n"
		people   = "basic_exchange http://127.0.0.1:1/a {\ninsecure_password_grant registry\n}\n"
		ldap     = "ldap ldap://127.0.0.1:1 {\nbind_as uid={user},dc=x\n}\n"
		workload = "workload ci http://127.0.0.1:1/b {\naudience a\nrequire sub b\n}\n"
	)
	for _, tt := range []struct{ name, lines, want string }{
		{"one provider, ID tokens and clients", oidc + clients, ""},
		{"one provider, ID tokens and passwords", oidc + people, ""},
		{"and by another claim", oidc + strings.Replace(people, "{\n", "{\nusername email\n", 1), "prefix"},
		{"two providers", oidc + strings.ReplaceAll(people, "/a", "/c"), "prefix"},
		{"a provider and a directory", oidc + ldap, "prefix"},
		{"with a prefix", oidc + strings.Replace(ldap, "{\n", "{\nprefix x-\n", 1), ""},
		{"one directory twice", ldap + ldap, "by plain names"},
		{"clients and workloads", clients + workload, "workload"},
		{"clients with a prefix", "basic_exchange http://127.0.0.1:1/a {\nprefix kc-\n}\n" + workload, ""},
		{"people and workloads", people + workload, ""},
		{"an empty secret", "ldap ldap://127.0.0.1:1 {\nsearch dc=x\nservice_account cn=x {env.NOT_SET}\n}\n", "service_password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := g.tryLoad(standardRealm + tt.lines)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestDirectoryAway: Caddy starts without the directory and the provider, and
// their people are told to come back, while robots go on.
func TestDirectoryAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, lines := range []string{
		"ldap ldap://" + address + " {\nbind_as uid={user},dc=x\n}\n",
		"basic_exchange http://" + address + "\n",
	} {
		g := startGateway(t, standardRealm+lines)
		a := g.do("GET", "/v2/", "", basic("alice", "secret-pw"))
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("alice: %d %v", a.StatusCode, a.Header)
		}
		if a := g.do("GET", manifest, "", basic("robot-ci", g.robot)); a.StatusCode != 200 {
			t.Errorf("a robot: %d", a.StatusCode)
		}
		g.load(standardRealm + lines + "explain_denials\n")
		if a := g.do("GET", "/v2/", "", basic("alice", "secret-pw")); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("alice after a reload: %d", a.StatusCode)
		}
	}
}

// chosenHash is of the password "password", and quick.
const chosenHash = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$8Tf44YakA6Z5zNBgblq13Nr+Q8FkCFWsjG4z6b1j7rM"

// TestRobotPrefixReachesEverybody: what a realm has robots put before their
// names is kept from who asks others, although these come first.
func TestRobotPrefixReachesEverybody(t *testing.T) {
	asked := make(chan string, 10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Username string }
		_ = json.NewDecoder(r.Body).Decode(&q)
		asked <- q.Username
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(service.Close)
	realm := "external " + service.URL + "\nrobot_prefix bot$ bot.\n" + strings.Replace(standardRealm, "robot ci", "robot old pull {\nsecret_hash "+chosenHash+"\n}\nrobot ci", 1)
	g := startGateway(t, realm)
	g.apart()
	for name, status := range map[string]int{"bot$old": 200, "bot.old": 200} {
		if a := g.do("GET", "/v2/", "", basic(name, "password")); a.StatusCode != status {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	for _, name := range []string{"bot.old", "bot$nobody", "robot-old"} {
		if a := g.do("GET", "/v2/", "", basic(name, "wrong")); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s with a wrong password: %d", name, a.StatusCode)
		}
	}
	close(asked)
	for name := range asked {
		if name != "robot-old" {
			t.Errorf("the password of %s was shown to the service", name)
		}
	}
	if err := g.tryLoad(standardRealm + "robot_prefix \"\"\n"); err == nil || !strings.Contains(err.Error(), "robot_prefix") {
		t.Errorf("an empty prefix: %v", err)
	}
}
