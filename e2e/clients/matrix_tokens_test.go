package clients

import (
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// keyAge is for how long the rows' gateway uses a provider's keys without
// asking again.
const keyAge = 2 * time.Second

// issuer is a row whose visitors show tokens of a certified provider.
type issuer struct {
	*row
	*idp.Certified
	fresh  func(*testing.T) visitor // with a new token
	forged func(*testing.T) []visitor
	over   func(*testing.T) []visitor
}

func (i *issuer) played() *row {
	i.timeout, i.client = keyAge, "docker"
	i.turns = map[failure]func(*testing.T) turn{
		wrongSecret: func(t *testing.T) turn { return turn{shown: i.forged(t), welcome: []visitor{i.known}} },
		accountGone: func(t *testing.T) turn { return turn{shown: i.over(t), welcome: []visitor{i.known}} },
		hugeInput:   i.huge,
		rotation: func(t *testing.T) turn {
			old := i.known
			must(t, i.Rotate(t.Context(), true))
			i.known = i.fresh(t)
			return turn{shown: []visitor{old}, after: []visitor{i.known}}
		},
		slow: func(t *testing.T) turn {
			unknown := i.unseen(t)
			must(t, i.Freeze())
			time.Sleep(keyAge + 100*time.Millisecond)
			return turn{
				shown: []visitor{unknown}, served: []visitor{i.known},
				repair: func() { must(t, i.Thaw()) }, after: []visitor{unknown},
			}
		},
		down: func(t *testing.T) turn {
			unknown := i.unseen(t)
			must(t, i.Stop())
			time.Sleep(keyAge + 100*time.Millisecond)
			return turn{shown: []visitor{unknown}, welcome: []visitor{i.known}}
		},
	}
	return i.row
}

// unseen is a visitor with a token of a key that the gateway does not have.
func (i *issuer) unseen(t *testing.T) visitor {
	t.Helper()
	must(t, i.Rotate(t.Context(), false))
	return i.fresh(t)
}

func (i *issuer) huge(*testing.T) turn {
	bearer := visitor{headers: []string{"Authorization: Bearer " + i.known.secret + megabyte}}
	return turn{shown: []visitor{{user: "alice", secret: i.known.secret + megabyte}, bearer}, welcome: []visitor{i.known}}
}

// changed is the same token with another signature.
func changed(v visitor) visitor {
	v.secret = v.secret[:len(v.secret)-8] + "AAAAAAAA"
	return v
}

func (m *matrix) oidc() *row {
	i := &issuer{row: &row{name: "oidc"}, Certified: m.provider()}
	i.block = "oidc " + i.Issuer + " registry {\njwks_max_age 2s\n}"
	login := func(t *testing.T, client, user string) visitor {
		t.Helper()
		token, err := i.Login(t.Context(), client, user)
		must(t, err)
		return visitor{user: user, secret: token}
	}
	i.fresh = func(t *testing.T) visitor { return login(t, "registry", "alice") }
	i.forged = func(t *testing.T) []visitor {
		unknown, err := idp.StartHostile()
		must(t, err)
		t.Cleanup(func() { unknown.Close() })
		token, err := unknown.Sign(unknown.Claims("alice", "registry"))
		must(t, err)
		return []visitor{changed(i.known), login(t, "other", "alice"), {user: "alice", secret: token}}
	}
	i.over = func(t *testing.T) []visitor {
		must(t, i.Dismiss(t.Context(), "carol"))
		if _, err := i.Login(t.Context(), "registry", "carol"); err == nil {
			t.Error("who was dismissed gets an ID token")
		}
		last, err := i.JobToken(t.Context(), "registry", jose.Object{"sub": "carol", "preferred_username": "carol"}, 6*time.Minute+time.Second)
		must(t, err)
		return []visitor{{user: "carol", secret: last}}
	}
	i.known = i.fresh(m.t)
	return i.played()
}

func (m *matrix) workload() *row {
	i := &issuer{row: &row{name: "workload"}, Certified: m.provider()}
	i.block = `
		workload build %ISSUER% {
			audience %SERVICE%
			require repository corp/app
			jwks_max_age 2s
		}
		workload retired %ISSUER% {
			audience %SERVICE%
			require repository corp/retired
			as robot:retired
		}
		robot retired {
			secret_hash %RETIRED%
			disabled
		}`
	_, retired := stage.NewSecret() // it has never had any other way
	m.terms["%ISSUER%"], m.terms["%RETIRED%"] = i.Issuer, retired
	job := func(t *testing.T, audience, repository string, age time.Duration) visitor {
		t.Helper()
		token, err := i.JobToken(t.Context(), audience, jose.Object{"sub": "repo:" + repository, "repository": repository}, age)
		must(t, err)
		return visitor{user: "job", secret: token}
	}
	i.fresh = func(t *testing.T) visitor { return job(t, stage.Service, "corp/app", 0) }
	i.forged = func(t *testing.T) []visitor {
		unknown, err := idp.StartHostile()
		must(t, err)
		t.Cleanup(func() { unknown.Close() })
		token, err := unknown.Sign(unknown.Claims("repo:corp/app", stage.Service).With("repository", "corp/app"))
		must(t, err)
		return []visitor{
			changed(i.known), job(t, "elsewhere", "corp/app", 0), job(t, stage.Service, "evil/app", 0), {user: "job", secret: token},
		}
	}
	i.over = func(t *testing.T) []visitor {
		return []visitor{job(t, stage.Service, "corp/app", 6*time.Minute+time.Second), job(t, stage.Service, "corp/retired", 0)}
	}
	i.known = i.fresh(m.t)
	return i.played()
}
