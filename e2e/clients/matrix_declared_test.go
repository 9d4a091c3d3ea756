package clients

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

func (m *matrix) local() *row {
	alice, bob := visitor{user: "alice", secret: "in case of fire"}, visitor{user: "bob", secret: "in case of fire 2"}
	r := &row{name: "local", client: "docker", known: alice}
	r.block = "local {\nuser alice %ALICE_PASSWORD%\nuser bob %BOB_PASSWORD% {\n%BOB_STATE%\n}\n}"
	hash := func(password string) string {
		_, hash := cheapHash(m.t, visitor{user: "x", secret: password})
		return hash
	}
	next := hash("in case of fire 3")
	m.terms["%ALICE_PASSWORD%"], m.terms["%BOB_PASSWORD%"], m.terms["%BOB_STATE%"] = hash(alice.secret), hash(bob.secret), ""
	r.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(*testing.T) turn {
			return turn{shown: []visitor{{user: "alice", secret: bob.secret}, {user: "nobody", secret: alice.secret}}, welcome: []visitor{alice, bob}}
		},
		accountGone: func(t *testing.T) turn {
			token := r.token(t, bob)
			m.reload(t, map[string]string{"%BOB_STATE%": "disabled"})
			return turn{shown: []visitor{bob, token}, welcome: []visitor{alice}}
		},
		hugeInput: func(*testing.T) turn { return hugePassword("alice", alice) },
		rotation: func(t *testing.T) turn {
			token := r.token(t, alice)
			m.reload(t, map[string]string{"%ALICE_PASSWORD%": next})
			return turn{shown: []visitor{alice, token}, after: []visitor{{user: "alice", secret: "in case of fire 3"}}}
		},
	}
	return r
}

func (m *matrix) robots() *row {
	robot := func(name, secret string) visitor { return visitor{user: "robot-" + name, secret: secret} }
	first, firstStored := stage.NewSecret()
	second, secondStored := stage.NewSecret()
	stranger, _ := stage.NewSecret()
	r := &row{name: "robots", client: "skopeo", known: robot("builder", first)}
	declared := func(name, more string) (lines string, shown visitor) {
		secret, stored := stage.NewSecret()
		return fmt.Sprintf("robot %s pull {\nsecret_hash %s\nrepositories team/**\n%s\n}\n", name, stored, more), robot(name, secret)
	}
	offLines, off := declared("off", "disabled")
	overLines, over := declared("over", "expires 2024-01-01T00:00:00Z")
	spareLines, spare := declared("spare", "")
	r.block = "robot builder pull {\nsecret_hash %ROBOT_SECRET%\nrepositories team/**\n}\n" + offLines + overLines + "%SPARE_ROBOT%"
	m.terms["%ROBOT_SECRET%"], m.terms["%SPARE_ROBOT%"] = firstStored, spareLines
	r.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(*testing.T) turn {
			return turn{shown: []visitor{robot("builder", "wrong"), robot("builder", stranger), robot("builder", robotSecret), robot("nobody", first)}, welcome: []visitor{r.known}}
		},
		accountGone: func(t *testing.T) turn {
			token := r.token(t, spare)
			m.reload(t, map[string]string{"%SPARE_ROBOT%": ""})
			return turn{shown: []visitor{spare, token, off, over}, welcome: []visitor{r.known}}
		},
		hugeInput: func(*testing.T) turn { return hugePassword("robot-builder", r.known) },
		rotation: func(t *testing.T) turn {
			token := r.token(t, r.known)
			m.reload(t, map[string]string{"%ROBOT_SECRET%": secondStored})
			return turn{shown: []visitor{r.known, token}, after: []visitor{robot("builder", second)}}
		},
	}
	return r
}

func (m *matrix) serviceSecret() *row {
	newSecret := func() string { return strings.Repeat("0123456789abcdef", 3) + rand.Text() }
	shows := func(secret string) visitor {
		return visitor{headers: []string{"Authorization: Registry-Secret " + secret}}
	}
	first, second, spare := newSecret(), newSecret(), newSecret()
	r := &row{name: "service_secret", client: "curl", known: shows(first)}
	const block = "service_secret NAME_OF_IT {\nsecret SECRET_OF_IT\nfrom 127.0.0.1\nallow pull\nrepositories team/**\n}\n"
	service := func(name, secrets string) string {
		return strings.NewReplacer("NAME_OF_IT", name, "SECRET_OF_IT", secrets).Replace(block)
	}
	file := func(name, secret string) string {
		path := m.dir + "/" + name
		write(m.t, path, secret)
		return "{file." + path + "}"
	}
	one, two := file("scanner", first), file("scanner-next", second)
	r.block = "%SCANNER_SERVICE%\n%SPARE_SERVICE%"
	m.terms["%SCANNER_SERVICE%"], m.terms["%SPARE_SERVICE%"] = service("scanner", one), service("spare", file("spare", spare))
	r.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(*testing.T) turn {
			return turn{shown: []visitor{shows(newSecret()), {user: "scanner", secret: first}, shows(robotSecret)}, welcome: []visitor{r.known}}
		},
		accountGone: func(t *testing.T) turn {
			token := r.token(t, shows(spare))
			m.reload(t, map[string]string{"%SPARE_SERVICE%": ""})
			return turn{shown: []visitor{shows(spare), token}, welcome: []visitor{r.known}}
		},
		hugeInput: func(*testing.T) turn {
			short := shows(first + megabyte[:60_000]) // curl takes no megabyte in a header
			return turn{shown: []visitor{shows(first + megabyte)}, shorter: &short, welcome: []visitor{r.known}}
		},
		rotation: func(t *testing.T) turn {
			m.reload(t, map[string]string{"%SCANNER_SERVICE%": service("scanner", one+" "+two)})
			r.enter(t, shows(first))
			r.enter(t, shows(second))
			m.reload(t, map[string]string{"%SCANNER_SERVICE%": service("scanner", two)})
			return turn{shown: []visitor{shows(first)}, after: []visitor{shows(second)}}
		},
	}
	return r
}
