package clients

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

func (m *matrix) external() *row {
	service := startIdentityService(m.t)
	r := &row{name: "external", client: "docker", timeout: 2 * time.Second}
	r.block = `
		external %IDENTITY% {
			header X-Service-Key {env.SERVICE_KEY}
			cache_ttl 10s
			timeout 2s
		}`
	m.terms["%IDENTITY%"] = service.URL
	carol := visitor{user: "carol", secret: "correct horse"}
	r.known = carol
	broken := func(what string) func(*testing.T) turn {
		return func(t *testing.T) turn {
			carol.secret = "the one before it is " + what
			service.password(carol.secret)
			r.enter(t, carol)
			if what == "down" {
				service.set("failing")
				r.unavailable(t, visitor{user: "carol", secret: "while it fails"})
			}
			service.set(what)
			return turn{
				shown: []visitor{{user: "carol", secret: "at " + what}}, welcome: []visitor{carol},
				repair: func() { service.set("") }, after: []visitor{carol},
			}
		}
	}
	r.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(*testing.T) turn {
			return turn{shown: []visitor{{user: "carol", secret: "wrong"}, {user: "nobody", secret: "x"}}, welcome: []visitor{carol}}
		},
		accountGone: func(*testing.T) turn {
			return turn{shown: []visitor{{user: "disabled", secret: "x"}}, welcome: []visitor{carol}}
		},
		hugeInput:  func(*testing.T) turn { return hugePassword("carol", carol) },
		hugeAnswer: broken("huge"),
		rotation: func(t *testing.T) turn {
			old := carol
			carol.secret = "another one"
			service.password("another one")
			return turn{shown: []visitor{old}, after: []visitor{carol}}
		},
		slow: broken("slow"),
		down: broken("down"),
	}
	return r
}

func (m *matrix) tokenReview() *row {
	cluster := startCluster(m.t)
	own := filepath.Join(m.dir, "own-token")
	write(m.t, own, clusterToken)
	r := &row{name: "token_review", client: "skopeo", timeout: 2 * time.Second}
	r.block = `
		token_review %CLUSTER% {
			audience %SERVICE%
			token_file ` + own + `
			cache_ttl 10s
			timeout 2s
		}`
	m.terms["%CLUSTER%"] = cluster.URL
	pods := 0
	pod := func(t *testing.T) visitor {
		pods++
		return visitor{user: "kubernetes", secret: cluster.token(t, "ci", fmt.Sprint("builder-", pods), stage.Service)}
	}
	r.known = pod(m.t)
	broken := func(what string) func(*testing.T) turn {
		return func(t *testing.T) turn {
			known, unknown := pod(t), pod(t)
			r.enter(t, known)
			if what == "down" {
				cluster.set("failing")
				r.unavailable(t, unknown)
			}
			cluster.set(what)
			return turn{
				shown: []visitor{unknown}, welcome: []visitor{known},
				repair: func() { cluster.set("") }, after: []visitor{unknown},
			}
		}
	}
	r.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(t *testing.T) turn {
			return turn{shown: []visitor{
				changed(r.known), {user: "x", secret: cluster.token(t, "ci", "builder", "elsewhere")},
			}, welcome: []visitor{r.known}}
		},
		accountGone: func(t *testing.T) turn {
			gone := pod(t)
			r.enter(t, gone)
			cluster.remove(gone.secret)
			return turn{shown: []visitor{gone}, welcome: []visitor{r.known}}
		},
		hugeInput: func(*testing.T) turn {
			long := visitor{user: "x", secret: r.known.secret + megabyte}
			return turn{shorter: &visitor{user: "x", secret: megabyte[:60_000]}, shown: []visitor{long, {headers: []string{"Authorization: Bearer " + long.secret}}}, welcome: []visitor{r.known}}
		},
		hugeAnswer: broken("huge"),
		rotation: func(t *testing.T) turn {
			old := r.known
			cluster.rotate(t, "the-gateway's-next-token")
			write(t, own, "the-gateway's-next-token")
			r.known = pod(t)
			return turn{shown: []visitor{old}, after: []visitor{r.known}}
		},
		slow: broken("slow"),
		down: broken("down"),
	}
	return r
}

// unavailable wants 503 for a service that answers 500.
func (r *row) unavailable(t *testing.T, v visitor) {
	t.Helper()
	if got := r.knock(t, v); got.status != http.StatusServiceUnavailable {
		t.Errorf("while the service fails: %d", got.status)
	}
}
