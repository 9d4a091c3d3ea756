package registryauth

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
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

func TestPeoplesPasswords(t *testing.T) {
	var people BasicExchange
	people.PasswordGrant = &authn.PasswordGrant{ClientID: "x"}
	for name, tt := range map[string]struct {
		module interface{ PeoplesPasswords() bool }
		want   bool
	}{
		"clients": {&BasicExchange{}, false}, "people": {&people, true}, "directory": {&LDAP{}, true},
	} {
		if tt.module.PeoplesPasswords() != tt.want {
			t.Errorf("%s: want %v", name, tt.want)
		}
	}
}
