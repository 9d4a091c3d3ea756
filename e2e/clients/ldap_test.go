package clients

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/slapd"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// ldapRealm has people found by search, over an encrypted connection, the
// first of two servers being away.
const ldapRealm = `
		ldap ldaps://127.0.0.1:1 SECURE_URL {
			search PEOPLE
			service_account SERVICE_DN {env.LDAP_PASSWORD}
			attribute departmentNumber
			group_search GROUPS
			nested recursive
			prefix ldap-
			timeout 2s
			cache 20s
			trust_pool file CA
		}
		project dir/** {
			maintainer group:ldap-team-maintainers
			guest group:ldap-everyone
		}
		project dept/** {
			guest authenticated {
				when ` + "`\"departmentNumber\" in claims && claims.departmentNumber == \"42\" && claims.email == \"alice@example.test\"`" + `
			}
		}`

func ldapLines(server *slapd.Server, lines string) string {
	return strings.NewReplacer("SECURE_URL", server.SecureURL, "PLAIN_URL", server.URL, "PEOPLE", slapd.People, "GROUPS", slapd.Groups,
		"SERVICE_DN", slapd.ServiceDN, "CA", server.CA).Replace(lines)
}

func startSlapd(t *testing.T) *slapd.Server {
	t.Helper()
	process.Need(t, "docker-registry", "ldapadd")
	needSlapd(t)
	server, err := slapd.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	return server
}

// needSlapd looks for it also where it is on machines that do not have it in
// the PATH.
func needSlapd(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("slapd"); err != nil {
		process.Need(t, "/usr/sbin/slapd")
	}
}

func ldapStage(t *testing.T, server *slapd.Server, lines string) *stage.Stage {
	t.Helper()
	s, err := stage.Start(t.Context(), stage.Options{
		Record: true, Realm: ldapLines(server, lines), Env: []string{"LDAP_PASSWORD=" + slapd.ServicePassword},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return s
}

// TestDirectory has people of a real slapd push and pull with their passwords.
func TestDirectory(t *testing.T) {
	process.Need(t, "skopeo")
	server := startSlapd(t)
	s := ldapStage(t, server, ldapRealm)

	p := &player{T: t, stage: s, client: &skopeo{newShell(t, s)}, name: "ldap"}
	p.refused("login with a wrong password", p.client.Login("alice", "bob-pw", ""))
	p.refused("login without a password", p.client.Login("alice", "", ""))
	p.must("login", p.client.Login("alice", "alice-pw", ""))
	content := p.makeAndPush("dir/app")
	p.sameUpstream("dir/app", content)
	p.pull("dir/app")
	p.must("login as bob", p.client.Login("bob", "bob-pw", ""))
	p.pull("dir/app")
	p.refused("push without the right to", p.client.Push("dir/app", firstTag))

	huge := strings.Repeat("x", 9000)
	for _, c := range []struct {
		what, user, password, path string
		want                       int
	}{
		{"alice", "alice", "alice-pw", "/v2/dir/app/tags/list", 200},
		{"in capitals, which is the same entry", "ALICE", "alice-pw", "/v2/dir/app/tags/list", 200},
		{"attributes in conditions", "alice", "alice-pw", "/v2/dept/app/tags/list", 404},
		{"a condition that does not hold", "bob", "bob-pw", "/v2/dept/app/tags/list", 403},
		{"wrong password", "alice", "alice-pW", "/v2/", 401},
		{"empty password", "alice", "", "/v2/", 401},
		{"locked", "carol", "carol-pw", "/v2/", 401},
		{"unknown", "nobody", "nobody-pw", "/v2/", 401},
		{"a filter for a name", "a*", "alice-pw", "/v2/", 401},
		{"a filter for a name", "*)(uid=alice", "alice-pw", "/v2/", 401},
		{"a filter for a name", "alice)(objectClass=*", "alice-pw", "/v2/", 401},
		{"a NUL for a name", "alice\x00", "alice-pw", "/v2/", 400},
		{"huge password", "alice", huge, "/v2/", 401},
		{"huge name", huge, "alice-pw", "/v2/", 400},
		{"a robot of the same realm", "robot-ci", s.Robots["ci"].Secret, "/v2/", 200},
		{"a robot with a chosen password", "robot-longpw", stage.LongPassword, "/v2/", 200},
		{"the same without its prefix", "longpw", stage.LongPassword, "/v2/", 200},
	} {
		if got := basicStatus(t, s.URL+c.path, c.user, c.password); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
	log := strings.Join(s.Gateway.Log.Since(0), "\n")
	if !strings.Contains(log, "principal disabled: Account locked") || strings.Contains(log, "alice-pw") || strings.Contains(log, slapd.ServicePassword) {
		t.Error("the log does not say why carol is refused, or has a password")
	}
}

// TestDirectoryBinds signs people in directly, in the other ways of asking.
func TestDirectoryBinds(t *testing.T) {
	server := startSlapd(t)
	for name, lines := range map[string]string{
		"bind_as": `
		ldap PLAIN_URL {
			bind_as uid={user},PEOPLE
			group_search GROUPS (&(objectClass=groupOfNames)(member={dn}))
			prefix ldap-
		}`,
		"starttls, bind_as and search": `
		ldap PLAIN_URL {
			starttls
			bind_as uid={user},PEOPLE
			search PEOPLE (&(objectClass=inetOrgPerson)(uid={user}))
			service_account SERVICE_DN {env.LDAP_PASSWORD}
			member_of
			prefix ldap-
			trust_pool file CA
		}`,
		"memberOf": `
		ldap SECURE_URL {
			search PEOPLE
			service_account SERVICE_DN {env.LDAP_PASSWORD}
			member_of memberOf GROUPS
			nested recursive
			required_group everyone
			prefix ldap-
			trust_pool file CA
		}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := ldapStage(t, server, lines+"\nproject dir/** {\nmaintainer group:ldap-team-maintainers\n}")
			for _, c := range []struct {
				user, password string
				want           int
			}{
				{"alice", "alice-pw", 404},
				{"alice", "wrong", 401},
				{"bob", "bob-pw", 403},
				{"carol", "carol-pw", 401},
				{"nobody", "nobody-pw", 401},
				{"alice,ou=people", "alice-pw", 401},
				{"alice+uid=alice", "alice-pw", 401},
			} {
				if got := basicStatus(t, s.URL+"/v2/dir/app/tags/list", c.user, c.password); got != c.want {
					t.Errorf("%s %s: %d, want %d", c.user, c.password, got, c.want)
				}
			}
		})
	}
	t.Run("an authority that is not trusted", func(t *testing.T) {
		s := ldapStage(t, server, "ldap SECURE_URL {\nbind_as uid={user},PEOPLE\nprefix ldap-\n}")
		unavailable(t, s.URL, "alice", "alice-pw")
	})
}

// unavailable wants 503 with Retry-After, and not after a long time.
func unavailable(t *testing.T, url, user, password string) {
	t.Helper()
	start := time.Now()
	res := basicGet(t, url+"/v2/", user, password)
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %v, want 503 with Retry-After", user, res.StatusCode, res.Header)
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("that took %s", took)
	}
}

func basicStatus(t *testing.T, url, user, password string) int {
	t.Helper()
	return basicGet(t, url, user, password).StatusCode
}

func basicGet(t *testing.T, url, user, password string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", user, err))
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res
}

// TestDirectoryPeopleWhoLeave takes people who have access tokens out of the
// directory, and the directory away.
func TestDirectoryPeopleWhoLeave(t *testing.T) {
	server := startSlapd(t)
	s := ldapStage(t, server, `
		ldap SECURE_URL {
			search PEOPLE
			service_account SERVICE_DN {env.LDAP_PASSWORD}
			group_search GROUPS
			nested recursive
			prefix ldap-
			cache 1s
			recheck 1s
			trust_pool file CA
		}
		management
		project dir/** {
			guest group:ldap-everyone
		}`)
	tokens := map[string]string{"alice": directoryToken(t, s, "alice"), "bob": directoryToken(t, s, "bob")}
	status := func(name string) int { return basicStatus(t, s.URL+"/v2/dir/app/tags/list", name, tokens[name]) }
	change := func(ldif string) {
		t.Helper()
		if err := server.Change(t.Context(), ldif); err != nil {
			t.Fatal(err)
		}
	}
	becomes := func(what, name string, want int) {
		t.Helper()
		eventually(t, what, func() bool { return status(name) == want })
	}
	becomes("alice's token is good", "alice", 404)
	becomes("bob's token is good", "bob", 404)

	change("dn: cn=staff," + slapd.Groups + "\nchangetype: modify\nreplace: member\nmember: uid=carol," + slapd.People + "\n")
	becomes("bob is out of the group", "bob", 403)
	change("dn: cn=staff," + slapd.Groups + "\nchangetype: modify\nreplace: member\nmember: uid=bob," + slapd.People + "\n")
	becomes("bob is in the group again", "bob", 404)
	change("dn: uid=bob," + slapd.People + "\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n")
	becomes("bob is locked out", "bob", 401)
	change("dn: uid=bob," + slapd.People + "\nchangetype: modify\ndelete: pwdAccountLockedTime\n")
	becomes("bob may sign in again", "bob", 404)
	change("dn: uid=bob," + slapd.People + "\nchangetype: delete\n")
	becomes("bob is gone", "bob", 401)
	change("dn: uid=bob," + slapd.People + "\nchangetype: add\nobjectClass: inetOrgPerson\nuid: bob\ncn: Another\nsn: Bob\nuserPassword: other-pw\n")
	eventually(t, "another bob signs in", func() bool { return basicStatus(t, s.URL+"/v2/", "bob", "other-pw") == 200 })
	if got := status("bob"); got != 401 {
		t.Errorf("the first bob's token: %d", got)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	if got := status("alice"); got != 404 {
		t.Errorf("alice's token while the directory is away: %d", got)
	}
}

// directoryToken makes an access token for somebody of the directory.
func directoryToken(t *testing.T, s *stage.Stage, name string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/auth/api/v1/tokens", strings.NewReader(`{"name":"laptop"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(name, name+"-pw")
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var made struct{ Secret string }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || made.Secret == "" {
		t.Fatalf("an access token for %s: %d, %v", name, resp.StatusCode, err)
	}
	return made.Secret
}
