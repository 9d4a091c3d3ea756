package state_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// has gives a user a session, an identity token and an access token.
func has(t *testing.T, s *state.State, user, id string, created time.Time) {
	t.Helper()
	commit(t, s, func(tx *state.Tx) {
		state.Put(tx, s.Sessions, id, &state.Session{User: user, Created: created}, state.Absent)
		state.Put(tx, s.IdentityTokens, id, &state.IdentityToken{User: user, Created: created, Expires: created.Add(1000 * time.Hour)}, state.Absent)
		state.Put(tx, s.Tokens, id, &state.Token{User: user, Created: created}, state.Absent)
	})
}

// there says which of them are there.
func there(s *state.State, id string) string {
	_, session := s.Sessions.Get(id)
	_, identity := s.IdentityTokens.Get(id)
	_, token := s.Tokens.Get(id)
	return fmt.Sprint(session, identity, token)
}

// TestVanishingConcernsNobodyElse: neither what others have, nor what came after.
func TestVanishingConcernsNobodyElse(t *testing.T) {
	for name, subject := range map[string]string{"by name": "", "by subject": "7"} {
		t.Run(name, func(t *testing.T) {
			clock := newMovingClock()
			s := gateway(t, memstore.New(), state.Options{Now: clock.now})
			gone := &authn.Principal{Kind: authn.KindUser, Name: "gone", Subject: subject, Authenticator: "a"}
			if subject != "" {
				gone.Issuer = "a"
			}
			stays := &authn.Principal{Kind: authn.KindUser, Name: "stays", Authenticator: "b"}
			who, other := seenAs(t, s, gone), seenAs(t, s, stays)
			has(t, s, who, "old", clock.now())
			has(t, s, other, "other", clock.now())
			owns(t, s, gone, "team/app")
			owns(t, s, stays, "team/other")
			clock.advance(time.Hour)
			left := clock.now()
			clock.advance(time.Hour)
			has(t, s, who, "new", clock.now())
			owns(t, s, gone, "team/new")
			live := s.NewLiveness(state.LivenessOptions{Providers: []state.Vouching{{Authenticator: "a", Issuer: gone.Issuer, Roster: &roster{missing: left}}}})
			live.Sweep(t.Context())
			if got := there(s, "old"); got != "false false false" {
				t.Errorf("of before there are left %s", got)
			}
			for _, id := range []string{"new", "other"} {
				if got := there(s, id); got != "true true true" {
					t.Errorf("%s: %s", id, got)
				}
			}
			for repository, want := range map[string]string{"team/app": state.FormerIdentity(who), "team/new": who, "team/other": other} {
				if got := s.Owner(authz.OwnedRepository, repository); got.Identity != want {
					t.Errorf("%s is owned by %s, want %s", repository, got.Identity, want)
				}
			}
			u, _ := s.Users.Get(who)
			if !u.Value.NotBefore.Equal(left) {
				t.Errorf("signed out as of %s, want %s", u.Value.NotBefore, left)
			}
			before := u.Revision
			live.Sweep(t.Context())
			if u, _ := s.Users.Get(who); u.Revision != before {
				t.Error("it was ended twice")
			}
		})
	}
}

// TestAdoptionConcernsNobodyElse: what others have stays theirs, and docker logins
// come along.
func TestAdoptionConcernsNobodyElse(t *testing.T) {
	clock := newMovingClock()
	s := gateway(t, memstore.New(), state.Options{Now: clock.now})
	old := &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "ldap", Subject: "uid=alice", Authenticator: "ldap:x"}
	bob := &authn.Principal{Kind: authn.KindUser, Name: "bob", Issuer: "ldap", Subject: "uid=bob", Authenticator: "ldap:x"}
	before, other := seenAs(t, s, old), seenAs(t, s, bob)
	has(t, s, before, "hers", clock.now())
	has(t, s, other, "his", clock.now())
	owns(t, s, bob, "team/his")
	clock.advance(time.Hour)
	next := *old
	next.Subject, next.FormerSubject = "entryUUID:1", old.Subject
	after := seenAs(t, s, &next)
	for id, want := range map[string]string{"hers": after, "his": other} {
		token, _ := s.Tokens.Get(id)
		identity, _ := s.IdentityTokens.Get(id)
		if token.Value.User != want || identity.Value.User != want {
			t.Errorf("%s: of %s and %s, want %s", id, token.Value.User, identity.Value.User, want)
		}
	}
	if got := s.Owner(authz.OwnedRepository, "team/his"); got.Identity != other {
		t.Errorf("owned by %s", got.Identity)
	}
}

// TestStillThere: nothing that lasts is made with what has ended a moment ago.
func TestStillThere(t *testing.T) {
	s := gateway(t, memstore.New(), state.Options{})
	user := seenAs(t, s, &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://sso", Subject: "1"})
	has(t, s, user, "there", time.Now())
	for credential, table := range map[string]bool{state.CredentialToken: true, authn.CredentialIdentityToken: true, state.CredentialSession: true, "id_token": false} {
		for id, good := range map[string]bool{"there": true, "gone": !table, "": true} {
			p := &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://sso", Subject: "1", Credential: credential, CredentialID: id}
			if err := s.Still(p); (err == nil) != good || err != nil && !errors.Is(err, authn.ErrExpired) {
				t.Errorf("%s %q: %v", credential, id, err)
			}
		}
	}
	commit(t, s, func(tx *state.Tx) {
		item, _ := s.Users.Get(user)
		next := *item.Value
		next.Disabled = true
		state.Put(tx, s.Users, user, &next, state.Unchanged(item))
	})
	for _, id := range []string{"there", ""} {
		p := &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://sso", Subject: "1", Credential: state.CredentialToken, CredentialID: id}
		if err := s.Still(p); !errors.Is(err, authn.ErrDisabled) {
			t.Errorf("of somebody who was disabled: %v", err)
		}
	}
}

// TestIssuedAfterWhatEnded, however slow the clock is.
func TestIssuedAfterWhatEnded(t *testing.T) {
	s := gateway(t, memstore.New(), state.Options{})
	user := seenAs(t, s, &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://sso", Subject: "1"})
	now := time.Now()
	if got := s.IssueTime(user, now); !got.Equal(now) {
		t.Error(got)
	}
	for ended, want := range map[time.Time]time.Time{now.Add(time.Minute): now.Add(time.Minute), now.Add(-time.Minute): now} {
		commit(t, s, func(tx *state.Tx) {
			item, _ := s.Users.Get(user)
			next := *item.Value
			next.NotBefore = ended
			state.Put(tx, s.Users, user, &next, state.Unchanged(item))
		})
		if got := s.IssueTime(user, now); !got.Equal(want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := s.IssueTime("nobody", now); !got.Equal(now) {
		t.Error(got)
	}
}
