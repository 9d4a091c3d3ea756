package state_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// skewed is a clock that can be put forward.
type skewed struct{ ahead atomic.Int64 }

func (c *skewed) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *skewed) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// loginStage is a state with one user and identity tokens.
type loginStage struct {
	*testing.T
	skewed
	state  *state.State
	logins *state.Logins
	alice  *authn.Principal
	from   authn.TokenClient
}

func newLoginStage(t *testing.T, c state.LoginConfig, s store.Store) *loginStage {
	t.Helper()
	x := &loginStage{T: t}
	x.state = gateway(t, s, state.Options{Now: x.now})
	if c.Lifetime == 0 {
		c.Lifetime, c.Idle = 24*time.Hour, 6*time.Hour
	}
	x.logins = x.state.NewLogins(c, nil)
	x.alice = &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://idp", Subject: "a", Groups: []string{"dev"}, Credential: "id_token", Authenticator: "oidc:https://idp"}
	x.from = authn.TokenClient{Service: "registry.test", ClientID: "docker", Remote: netip.MustParseAddr("192.0.2.1"), Renew: true}
	return x
}

func (x *loginStage) issue() string {
	x.Helper()
	secret, err := x.logins.IssueIdentityToken(x.Context(), x.alice, x.from)
	if err != nil || secret == "" {
		x.Fatalf("issue: %q, %v", secret, err)
	}
	return secret
}

func (x *loginStage) show(secret string) (*authn.Principal, error) {
	return x.logins.Authenticate(x.Context(), &authn.Credential{Scheme: authn.SchemeIdentityToken, Secret: secret, Remote: x.from.Remote})
}

func (x *loginStage) exchange(secret string) string {
	x.Helper()
	p, err := x.show(secret)
	if err != nil {
		x.Fatalf("exchange: %v", err)
	}
	next, err := x.logins.ExchangeIdentityToken(x.Context(), p, secret, x.from)
	if err != nil {
		x.Fatalf("exchange: %v", err)
	}
	return next
}

func TestIdentityToken(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{}, memstore.New())
	secret := x.issue()
	if !strings.HasPrefix(secret, "crait_") {
		t.Errorf("the secret is %q", secret)
	}
	if next := x.exchange(secret); next != secret {
		t.Error("a fixed token was replaced")
	}
	p, err := x.show(secret)
	if err != nil || p.Name != "alice" || p.Credential != authn.CredentialIdentityToken || p.Groups[0] != "dev" {
		t.Fatal(p, err)
	}
	for item := range x.state.IdentityTokens.All() {
		if strings.Contains(item.Value.Hash, secret) {
			t.Error("the secret is stored")
		}
	}
	t.Run("as a password", func(t *testing.T) {
		for _, scheme := range []authn.Scheme{authn.SchemeBasic, authn.SchemeBearer} {
			if _, err := x.logins.Authenticate(t.Context(), &authn.Credential{Scheme: scheme, Secret: secret}); !errors.Is(err, authn.ErrInvalid) {
				t.Errorf("%s: %v", scheme, err)
			}
		}
	})
	t.Run("another service", func(t *testing.T) {
		other := x.from
		other.Service = "elsewhere"
		if _, err := x.logins.ExchangeIdentityToken(t.Context(), p, secret, other); !errors.Is(err, authn.ErrInvalid) {
			t.Error(err)
		}
	})
	t.Run("forged", func(t *testing.T) {
		parsed, _ := authn.ParseSecret(secret)
		forged, _ := authn.RenewSecret(authn.SecretIdentityToken, parsed.ID)
		if _, err := x.show(forged); !errors.Is(err, authn.ErrInvalid) {
			t.Error(err)
		}
		x.exchange(secret) // and does the owner no harm
	})
	t.Run("resting", func(t *testing.T) {
		x.advance(5 * time.Hour)
		x.exchange(secret)
		eventually(t, "the use is written down", func() bool {
			for item := range x.state.IdentityTokens.All() {
				return x.now().Sub(item.Value.Used) < time.Minute
			}
			return false
		})
		x.advance(5 * time.Hour)
		x.exchange(secret)
		x.advance(7 * time.Hour)
		if _, err := x.show(secret); !errors.Is(err, authn.ErrExpired) {
			t.Error(err)
		}
	})
}

func TestIdentityTokenEndsWithItsOwner(t *testing.T) {
	for name, end := range map[string]func(*state.User){
		"disabled":    func(u *state.User) { u.Disabled = true },
		"gone":        func(u *state.User) { u.Gone = true },
		"signed out":  func(u *state.User) { u.NotBefore = time.Now().Add(time.Second) },
		"unconfirmed": func(u *state.User) { u.Unconfirmed = time.Now().Add(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newLoginStage(t, state.LoginConfig{}, memstore.New())
			secret := x.issue()
			p, err := x.show(secret)
			if err != nil {
				t.Fatal(err)
			}
			item, _ := x.state.Users.Get(x.alice.Identity().ID())
			u := *item.Value
			end(&u)
			var tx state.Tx
			state.Put(&tx, x.state.Users, item.ID, &u, state.Unchanged(item))
			if err := x.state.Commit(t.Context(), &tx); err != nil {
				t.Fatal(err)
			}
			if _, err := x.show(secret); err == nil {
				t.Error("it goes on")
			}
			if err := x.logins.Recheck(p, &authn.Credential{}); err == nil {
				t.Error("registry tokens go on")
			}
			if err := x.state.Check(p); err == nil {
				t.Error("the check lets it in")
			}
		})
	}
}

func TestIdentityTokenOfAnAccessToken(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{}, memstore.New())
	x.issue() // writes alice down
	secret, hash := authn.NewSecret(authn.SecretPersonalToken)
	parsed, _ := authn.ParseSecret(secret)
	pat := &state.Token{
		User: x.alice.Identity().ID(), Name: "t", Hash: hash, Created: x.now(), Expires: x.now().Add(time.Hour), From: []string{"192.0.2.0/24"},
		Limits: []authn.Limit{{Type: "repository", Name: "team/app", Actions: []string{"pull"}}},
	}
	put := func(v *state.Token) {
		t.Helper()
		var tx state.Tx
		if v == nil {
			state.Delete(&tx, x.state.Tokens, parsed.ID, store.Precondition{})
		} else {
			state.Put(&tx, x.state.Tokens, parsed.ID, v, store.Precondition{})
		}
		if err := x.state.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
	}
	put(pat)
	owner, err := authn.NewIssued(authn.SecretPersonalToken, x.state, x.now).Authenticate(t.Context(), &authn.Credential{Secret: secret, Remote: x.from.Remote})
	if err != nil {
		t.Fatal(err)
	}
	token, err := x.logins.IssueIdentityToken(t.Context(), owner, x.from)
	if err != nil {
		t.Fatal(err)
	}
	p, err := x.show(token)
	if err != nil || len(p.Limits) != 1 || p.Limits[0].Name != "team/app" || p.Expires.After(pat.Expires) {
		t.Fatal(p, err)
	}
	elsewhere := &authn.Credential{Scheme: authn.SchemeIdentityToken, Secret: token, Remote: netip.MustParseAddr("198.51.100.1")}
	if _, err := x.logins.Authenticate(t.Context(), elsewhere); !errors.Is(err, authn.ErrForbiddenSource) {
		t.Error("from elsewhere:", err)
	}
	put(nil)
	if _, err := x.show(token); !errors.Is(err, authn.ErrDisabled) {
		t.Error("the access token was withdrawn:", err)
	}
}

func TestWhoGetsAnIdentityToken(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{}, memstore.New())
	for _, p := range []*authn.Principal{
		{Kind: authn.KindRobot, Name: "ci", Credential: "robot_secret"},
		{Kind: authn.KindWorkload, Name: "job", Credential: "workload_token"},
		{Kind: authn.KindUser, Name: "alice", Credential: authn.CredentialIdentityToken},
		{Kind: authn.KindUser, Name: "alice", Credential: authn.CredentialRegistryToken},
		{Kind: authn.KindUser, Name: "alice", Credential: authn.CredentialLDAPPassword},
		{Kind: authn.KindUser, Name: "alice", Credential: authn.CredentialHeader},
	} {
		if got, err := x.logins.IssueIdentityToken(t.Context(), p, x.from); got != "" || err != nil {
			t.Errorf("%s with %s: %q, %v", p, p.Credential, got, err)
		}
	}
	for range 101 {
		x.issue()
	}
	n := 0
	for range x.state.IdentityTokens.All() {
		n++
	}
	if n != 100 {
		t.Errorf("one person has %d", n)
	}
}

func TestRotation(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, memstore.New())
	first := x.issue()
	second := x.exchange(first)
	if second == first || second == "" {
		t.Fatal("not rotated")
	}
	if again := x.exchange(first); again != second { // the answer got lost
		t.Fatal("another successor")
	}
	third := x.exchange(second)
	x.from.Renew = false
	if kept := x.exchange(third); kept != "" { // as docker does
		t.Error("rotated for a client that does not keep it")
	}
	x.advance(2 * time.Minute)
	x.exchange(third)
	if _, err := x.show(first); !errors.Is(err, authn.ErrExpired) {
		t.Errorf("one that was replaced: %v", err)
	}
	if _, err := x.show(third); err == nil {
		t.Error("the last one goes on although an old one was shown")
	}
}

// TestRotationDelivered: a replaced token is good for what was on its way when
// its successor was shown, and no longer.
func TestRotationDelivered(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, memstore.New())
	first := x.issue()
	third := x.exchange(x.exchange(first))
	x.advance(59 * time.Second)
	if _, err := x.show(first); err != nil {
		t.Errorf("on its way at the time: %v", err)
	}
	x.advance(time.Second)
	if _, err := x.show(first); !errors.Is(err, authn.ErrExpired) {
		t.Errorf("one whose successor was used: %v", err)
	}
	if _, err := x.show(third); err == nil {
		t.Error("the last one goes on although an old one was shown")
	}
}

func TestSameClient(t *testing.T) {
	x := newLoginStage(t, state.LoginConfig{SameClient: true}, memstore.New())
	secret := x.issue()
	p, err := x.show(secret)
	if err != nil {
		t.Fatal(err)
	}
	x.from.ClientID = "crane"
	if _, err := x.logins.ExchangeIdentityToken(t.Context(), p, secret, x.from); !errors.Is(err, authn.ErrInvalid) {
		t.Error(err)
	}
}

// TestLoginsWhileTheStoreIsAway: nothing new is given, what there is goes on.
func TestLoginsWhileTheStoreIsAway(t *testing.T) {
	faulty := faultstore.Wrap(memstore.New())
	x := newLoginStage(t, state.LoginConfig{Rotate: true}, faulty)
	secret := x.issue()
	faulty.Fail(faultstore.Apply, store.ErrUnavailable)
	if _, err := x.logins.IssueIdentityToken(t.Context(), x.alice, x.from); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("issue: %v", err)
	}
	next := x.exchange(secret)
	if x.exchange(secret) != next || x.exchange(next) != next {
		t.Error("rotated without a store")
	}
}
