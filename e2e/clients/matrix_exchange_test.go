package clients

import (
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/slapd"
)

var exchangeSecret = idp.ServiceSecret("gateway")

const directoryPassword = slapd.ServicePassword

func (m *matrix) basicExchange() *row {
	p := m.provider()
	r := &row{name: "basic_exchange", client: "docker", timeout: 2 * time.Second}
	r.block = `
		basic_exchange %EXCHANGE% {
			client_credentials
			insecure_password_grant gateway {env.EXCHANGE_SECRET}
			scope registry
			audience registry-api
			cache 10s
			cache_failures 1s
			timeout 2s
			jwks_max_age 2s
		}`
	m.terms["%EXCHANGE%"] = p.Issuer
	client := func(id string) visitor { return visitor{user: id, secret: idp.ServiceSecret(id)} }
	person := func(name string) visitor { return visitor{user: name, secret: name + "-pw"} }
	r.known = client("builder")
	r.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(*testing.T) turn {
			return turn{shown: []visitor{
				{user: "builder", secret: "wrong"},
				{user: "alice", secret: "bob-pw"},
				{user: "nobody", secret: "x"},
				{user: "builder", secret: "x&client_secret=" + idp.ServiceSecret("builder")},
			}, welcome: []visitor{r.known, person("alice")}, logged: "refused by the provider"}
		},
		accountGone: func(t *testing.T) turn {
			if got := r.knock(t, client("ephemeral")); got.status != 200 {
				t.Fatalf("before: %d", got.status)
			}
			must(t, p.Disable(t.Context(), "ephemeral"))
			return turn{shown: []visitor{client("ephemeral")}, welcome: []visitor{r.known}}
		},
		hugeInput: func(*testing.T) turn { return hugePassword("builder", r.known) },
		hugeAnswer: func(*testing.T) turn {
			return turn{shown: []visitor{client("crowd")}, welcome: []visitor{r.known}}
		},
		rotation: func(t *testing.T) turn {
			must(t, p.Rotate(t.Context(), true))
			return turn{shown: []visitor{client("scanner")}, after: []visitor{person("bob")}}
		},
		slow: func(t *testing.T) turn {
			r.enter(t, person("carol"))
			must(t, p.Freeze())
			return turn{
				shown: []visitor{person("admin")}, welcome: []visitor{person("carol")},
				repair: func() { must(t, p.Thaw()) }, after: []visitor{person("admin")},
			}
		},
		down: func(t *testing.T) turn {
			time.Sleep(remembered) // admin, bob and carol are forgotten
			r.enter(t, person("carol"))
			must(t, p.Stop())
			return turn{shown: []visitor{person("admin")}, welcome: []visitor{person("carol")}}
		},
	}
	return r
}

// enter lets somebody in, who is remembered then.
func (r *row) enter(t *testing.T, v visitor) {
	t.Helper()
	eventually(t, v.user+" gets in", func() bool { return r.knock(t, v).status == 200 })
}

// hugePassword is the turn of somebody with 1 MB of password, and of one
// with as long a name. skopeo reads less than 64 KiB of a password.
func hugePassword(user string, known visitor) turn {
	return turn{
		shown:   []visitor{{user: user, secret: megabyte}, {user: megabyte, secret: "x"}},
		shorter: &visitor{user: user, secret: megabyte[:60_000]}, welcome: []visitor{known},
	}
}
