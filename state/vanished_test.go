package state_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// movingClock is moved while others look at it.
type movingClock struct {
	start time.Time
	by    atomic.Int64
}

func newMovingClock() *movingClock             { return &movingClock{start: time.Now()} }
func (c *movingClock) now() time.Time          { return c.start.Add(time.Duration(c.by.Load())) }
func (c *movingClock) advance(d time.Duration) { c.by.Add(int64(d)) }

// seenAs writes down that somebody was seen.
func seenAs(t *testing.T, s *state.State, p *authn.Principal) string {
	t.Helper()
	id, u, before, _ := s.See(p)
	commit(t, s, func(tx *state.Tx) { s.PutUser(tx, id, u, before) })
	return id
}

func tokenOf(t *testing.T, s *state.State, user string, created time.Time) string {
	t.Helper()
	secret, stored := authn.NewSecret(authn.SecretPersonalToken)
	parsed, err := authn.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, func(tx *state.Tx) {
		state.Put(tx, s.Tokens, parsed.ID, &state.Token{User: user, Name: parsed.ID, Hash: stored, Created: created}, state.Absent)
	})
	return parsed.ID
}

func owns(t *testing.T, s *state.State, p *authn.Principal, repository string) {
	t.Helper()
	ids, err := s.Claim(context.Background(), p, repository, []authz.OwnedBy{authz.OwnedRepository}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(context.Background(), p, ids, true); err != nil {
		t.Fatal(err)
	}
}

// TestPersonKnownByAnotherSubject: people of a directory were known by the names
// of their entries before it showed something better.
func TestPersonKnownByAnotherSubject(t *testing.T) {
	for name, since := range map[string]time.Duration{"the same entry": -time.Hour, "an entry made anew": time.Hour} {
		t.Run(name, func(t *testing.T) {
			clock := newMovingClock()
			s, err := state.Open(t.Context(), memstore.New(), "default", state.Options{Now: clock.now})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			old := &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "ldap", Subject: "uid=alice,dc=x", Authenticator: "ldap:x"}
			before := seenAs(t, s, old)
			token := tokenOf(t, s, before, clock.now())
			owns(t, s, old, "team/app")
			clock.advance(2 * time.Hour)
			next := *old
			next.Subject, next.FormerSubject, next.Since = "entryUUID:1", old.Subject, clock.now().Add(-2*time.Hour).Add(since)
			after := seenAs(t, s, &next)
			if _, ok := s.Users.Get(before); ok || before == after {
				t.Error("there are two of the same person")
			}
			_, err = s.IssuedSecret(token)
			owner := s.Owner(authz.OwnedRepository, "team/app")
			if same := since < 0; (err == nil) != same || (owner.Identity == after) != same {
				t.Errorf("access token: %v, owner %+v", err, owner)
			}
			if again := seenAs(t, s, &next); again != after {
				t.Error("another one again")
			}
		})
	}
}

// roster is a list on which somebody is or is not.
type roster struct{ missing time.Time }

func (r *roster) Missing(*authn.Principal) time.Time { return r.missing }
func (*roster) Changes() int                         { return 0 }

func TestVanishedUsersEndForGood(t *testing.T) {
	for name, x := range map[string]struct {
		v       state.Vouching
		subject string
		after   time.Duration
		ends    bool // and not only rests
	}{
		"on the list":               {state.Vouching{Authenticator: "a", Roster: &roster{}}, "", 1000 * time.Hour, false},
		"by name, silent":           {state.Vouching{Authenticator: "a", MaxAge: time.Hour}, "", 2 * time.Hour, true},
		"by name, seen":             {state.Vouching{Authenticator: "a", MaxAge: time.Hour}, "", 30 * time.Minute, false},
		"by a certificate's name":   {state.Vouching{Authenticator: "a", MaxAge: time.Hour, Reused: func(string) bool { return true }}, "CN", 2 * time.Hour, true},
		"by a subject of their own": {state.Vouching{Authenticator: "a", MaxAge: time.Hour}, "42", 2 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newMovingClock()
			s, err := state.Open(t.Context(), memstore.New(), "default", state.Options{Now: clock.now})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			alice := &authn.Principal{Kind: authn.KindUser, Name: "alice", Subject: x.subject, Authenticator: "a"}
			if x.subject != "" {
				alice.Issuer = "a"
			}
			id := seenAs(t, s, alice)
			tokenOf(t, s, id, clock.now())
			owns(t, s, alice, "team/app")
			live := s.NewLiveness(state.LivenessOptions{Providers: []state.Vouching{x.v}})
			clock.advance(x.after)
			live.Sweep(t.Context())
			live.Sweep(t.Context())
			tokens := 0
			for range s.Tokens.All() {
				tokens++
			}
			owner := s.Owner(authz.OwnedRepository, "team/app")
			if (tokens == 0) != x.ends || (owner.Identity == state.FormerIdentity(id)) != x.ends {
				t.Errorf("%d access tokens, owner %+v", tokens, owner)
			}
			u, _ := s.Users.Get(id)
			if rests := !u.Value.Unconfirmed.IsZero(); rests != (x.subject == "42") {
				t.Errorf("rests: %v", rests)
			}
			// Whoever comes now is somebody who may come in.
			clock.advance(time.Minute)
			seenAs(t, s, alice)
			live.Sweep(t.Context())
			if err := s.Check(alice); err != nil {
				t.Error(err)
			}
		})
	}
}
