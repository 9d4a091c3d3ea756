package trust

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/slapd"
)

// directory starts a real slapd.
func directory(t *testing.T) *slapd.Server {
	t.Helper()
	process.Need(t, "ldapadd")
	if _, err := exec.LookPath("slapd"); err != nil {
		process.Need(t, "/usr/sbin/slapd")
	}
	server, err := slapd.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	return server
}

// withDirectory is a site whose people are in the directory.
func withDirectory(server *slapd.Server, lines string) string {
	return strings.NewReplacer("LDAP_URL", server.URL, "PEOPLE", slapd.People, "SERVICE", slapd.ServiceDN).Replace(`http://ADDR {
	registry_auth {
		ldap LDAP_URL {
			search PEOPLE
			service_account SERVICE {env.LDAP_PASSWORD}
			` + lines + `
		}
		management {
			api_key test {env.ADMIN_KEY}
		}
		project ** {
			developer authenticated
		}
	}
	reverse_proxy UPSTREAM
}`)
}

// TestGuessesDoNotLockAccountsAtTheDirectory: a directory that locks an account
// after five wrong passwords is shown fewer.
func TestGuessesDoNotLockAccountsAtTheDirectory(t *testing.T) {
	server := directory(t)
	if err := server.Change(t.Context(), "dn: cn=policy,dc=example,dc=test\nchangetype: modify\nreplace: pwdMaxFailure\npwdMaxFailure: 5\n"); err != nil {
		t.Fatal(err)
	}
	s := start(t, withDirectory(server, ""), created, "LDAP_PASSWORD="+slapd.ServicePassword)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			name := []string{"alice", "ALICE", "Alice"}[i%3]
			if res, _ := s.call("GET", "/v2/", "", basic(name, fmt.Sprint("guess", i))); res.StatusCode != 401 && res.StatusCode != 429 {
				t.Errorf("a guess: %s", res.Status)
			}
		})
	}
	all.Wait()
	if res, body := s.call("GET", "/v2/", "", basic("alice", "one more")); res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("beyond the budget: %s %s", res.Status, body)
	}
	s.wants(200, "GET", "/v2/", "", basic("bob", "bob-pw"))
	// The directory has not locked the account: the same person by another way.
	if err := server.SignIn(t.Context(), "uid=alice,"+slapd.People, "alice-pw"); err != nil {
		t.Error("the account is locked at the directory:", err)
	}
}
