package clients

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/slapd"
)

// startCrowdedDirectory starts a directory that also has emil, and dora, who is
// in 1,200 groups.
func startCrowdedDirectory(ctx context.Context, dir string) (*slapd.Server, error) {
	server, err := slapd.Start(ctx, dir)
	if err != nil {
		return nil, err
	}
	var more strings.Builder
	for _, name := range []string{"dora", "emil"} {
		fmt.Fprintf(&more, "dn: uid=%s,%s\nchangetype: add\nobjectClass: inetOrgPerson\nuid: %s\ncn: %s\nsn: X\nuserPassword: %s-pw\n\n", name, slapd.People, name, name, name)
	}
	for i := range 1200 {
		fmt.Fprintf(&more, "dn: cn=crowd-%d,%s\nchangetype: add\nobjectClass: groupOfNames\ncn: crowd-%d\nmember: uid=dora,%s\n\n", i, slapd.Groups, i, slapd.People)
	}
	return server, server.Change(ctx, more.String())
}

func (m *matrix) ldap() *row {
	server := m.directory
	r := &row{name: "ldap", client: "docker", timeout: 2 * time.Second}
	r.block = ldapLines(server, `
		ldap SECURE_URL {
			search PEOPLE
			service_account SERVICE_DN {env.LDAP_PASSWORD}
			group_search GROUPS
			timeout 2s
			cache 10s
			trust_pool file CA
		}`)
	person := func(name string) visitor { return visitor{user: name, secret: name + "-pw"} }
	r.known = person("alice")
	r.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(*testing.T) turn {
			return turn{shown: []visitor{
				{user: "alice", secret: "bob-pw"},
				{user: "alice", secret: ""},
				{user: "nobody", secret: "x"},
				{user: "a*", secret: "alice-pw"},
				{user: "*)(uid=alice", secret: "alice-pw"},
			}, welcome: []visitor{r.known}}
		},
		accountGone: func(t *testing.T) turn {
			r.enter(t, person("emil"))
			must(t, server.Change(t.Context(), "dn: uid=emil,"+slapd.People+"\nchangetype: delete\n"))
			return turn{shown: []visitor{person("carol"), person("emil")}, welcome: []visitor{r.known}, logged: "Account locked"}
		},
		hugeInput: func(*testing.T) turn { return hugePassword("alice", r.known) },
		hugeAnswer: func(*testing.T) turn {
			return turn{shown: []visitor{person("dora")}, welcome: []visitor{r.known}, logged: "more than 1000 groups"}
		},
		rotation: func(t *testing.T) turn {
			r.enter(t, person("bob"))
			must(t, server.Change(t.Context(), "dn: uid=bob,"+slapd.People+"\nchangetype: modify\nreplace: userPassword\nuserPassword: new-pw\n"))
			return turn{shown: []visitor{person("bob")}, after: []visitor{{user: "bob", secret: "new-pw"}}}
		},
		slow: func(t *testing.T) turn {
			again := visitor{user: "ALICE", secret: "alice-pw"} // in this form for the first time
			r.enter(t, again)
			must(t, server.Freeze())
			return turn{
				shown: []visitor{{user: "bob", secret: "other-pw"}}, welcome: []visitor{again},
				repair: func() { must(t, server.Thaw()) }, after: []visitor{{user: "bob", secret: "new-pw"}},
			}
		},
		down: func(t *testing.T) turn {
			r.enter(t, visitor{user: "aLICE", secret: "alice-pw"}) // in this form for the first time
			must(t, server.Stop())
			return turn{shown: []visitor{{user: "bob", secret: "another-pw"}}, welcome: []visitor{{user: "aLICE", secret: "alice-pw"}}}
		},
	}
	return r
}
