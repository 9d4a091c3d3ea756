package state_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// TestRevocationsEndWhatTheyName: registry tokens of one kind and name, issued
// before, for as long as the revocation stands.
func TestRevocationsEndWhatTheyName(t *testing.T) {
	s := open(t, memstore.New())
	at := time.Now().Truncate(time.Second)
	token := func(kind authn.Kind, name string, issued time.Time) *authn.Principal {
		return &authn.Principal{Kind: kind, Name: name, Credential: authn.CredentialRegistryToken, CredentialID: "j-" + name, Issued: issued}
	}
	before, since := at.Add(-time.Second), at
	for id, ends := range map[string]map[*authn.Principal]bool{
		state.RevokePrincipal("user:bob"): {
			token(authn.KindUser, "bob", before): true, token(authn.KindUser, "bob", since): false,
			token(authn.KindRobot, "bob", before): false, token(authn.KindUser, "bobby", before): false,
			{Kind: authn.KindUser, Name: "bob", Credential: authn.CredentialPassword}: false,
		},
		state.RevokePrincipal("robot:team+ci"): {token(authn.KindRobot, "team+ci", before): true, token(authn.KindRobot, "team", before): false},
		state.RevokePrincipal("anonymous"):     {token(authn.KindAnonymous, "", before): true, token(authn.KindUser, "anonymous", before): false},
		state.RevokeToken("j-bob"): {
			token(authn.KindUser, "bob", since): true, token(authn.KindUser, "bobby", since): false,
			{Kind: authn.KindUser, Name: "bob", Credential: authn.CredentialPassword, CredentialID: "j-bob"}: false,
		},
		state.RevokeAll: {token(authn.KindUser, "carol", before): true, token(authn.KindUser, "carol", since): false, {Kind: authn.KindUser, Name: "carol"}: false},
		"nothing/bob":   {token(authn.KindUser, "bob", before): false},
	} {
		commit(t, s, func(tx *state.Tx) {
			state.Put(tx, s.Revocations, id, &state.Revocation{NotBefore: at}, store.Precondition{})
		})
		for p, ended := range ends {
			if err := s.Check(p); errors.Is(err, authn.ErrExpired) != ended || (err != nil) != ended {
				t.Errorf("%s: %s by %s of %s: %v", id, p, p.Credential, p.Issued.Sub(at), err)
			}
		}
		commit(t, s, func(tx *state.Tx) { state.Delete(tx, s.Revocations, id, store.Precondition{}) })
		for p := range ends {
			if err := s.Check(p); err != nil {
				t.Errorf("%s is over: %v", id, err)
			}
		}
	}
}

// TestRestrictedUsersComeInAgain when what restricts them is over, and not
// before.
func TestRestrictedUsersComeInAgain(t *testing.T) {
	s := open(t, memstore.New())
	at := time.Now().Truncate(time.Second)
	alice := &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://idp", Subject: "1"}
	id := seenAs(t, s, alice)
	check := func(issued time.Time) error {
		p := *alice
		p.Issued = issued
		return s.Check(&p)
	}
	for name, c := range map[string]struct {
		restrict              func(u *state.User)
		fresh, before, at, to error // to: what anybody else of that name gets
	}{
		"disabled":    {func(u *state.User) { u.Disabled = true }, authn.ErrDisabled, authn.ErrDisabled, authn.ErrDisabled, nil},
		"gone":        {func(u *state.User) { u.Gone = true }, authn.ErrDisabled, authn.ErrDisabled, authn.ErrDisabled, nil},
		"unconfirmed": {func(u *state.User) { u.Unconfirmed = at }, nil, authn.ErrUnconfirmed, nil, nil},
		"signed out":  {func(u *state.User) { u.NotBefore = at }, nil, authn.ErrExpired, nil, nil},
	} {
		item, _ := s.Users.Get(id)
		open, restricted := *item.Value, *item.Value
		c.restrict(&restricted)
		commit(t, s, func(tx *state.Tx) { s.PutUser(tx, id, &restricted, item) })
		for when, x := range map[time.Time]error{{}: c.fresh, at.Add(-time.Second): c.before, at: c.at} {
			if err := check(when); !errors.Is(err, x) || (err == nil) != (x == nil) {
				t.Errorf("%s, issued %s: %v, want %v", name, when, err, x)
			}
		}
		for _, other := range []*authn.Principal{
			{Kind: authn.KindUser, Name: "alice", Issuer: "https://other", Subject: "1", Issued: at.Add(-time.Second)},
			{Kind: authn.KindRobot, Name: "alice", Issuer: "https://idp", Subject: "1", Issued: at.Add(-time.Second)},
		} {
			if err := s.Check(other); !errors.Is(err, c.to) || (err == nil) != (c.to == nil) {
				t.Errorf("%s, somebody else: %v", name, err)
			}
		}
		item, _ = s.Users.Get(id)
		commit(t, s, func(tx *state.Tx) { s.PutUser(tx, id, &open, item) })
		if err := check(at.Add(-time.Second)); err != nil {
			t.Errorf("%s is over: %v", name, err)
		}
	}
	item, _ := s.Users.Get(id)
	disabled := *item.Value
	disabled.Disabled = true
	commit(t, s, func(tx *state.Tx) { s.PutUser(tx, id, &disabled, item) })
	commit(t, s, func(tx *state.Tx) { state.Delete(tx, s.Users, id, store.Precondition{}) })
	if err := check(time.Time{}); err != nil {
		t.Errorf("a record that was deleted: %v", err)
	}
}

// TestRevocationsDoNotHideEachOther: one that ends nothing of what is shown
// leaves the next ones their say.
func TestRevocationsDoNotHideEachOther(t *testing.T) {
	s := open(t, memstore.New())
	at := time.Now().Truncate(time.Second)
	alice := &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://idp", Subject: "1"}
	id := seenAs(t, s, alice)
	item, _ := s.Users.Get(id)
	out := *item.Value
	out.NotBefore = at.Add(-time.Hour)
	commit(t, s, func(tx *state.Tx) { s.PutUser(tx, id, &out, item) })
	token := *alice
	token.Credential, token.CredentialID, token.Issued = authn.CredentialRegistryToken, "j", at
	put := func(id string, notBefore time.Time) {
		commit(t, s, func(tx *state.Tx) {
			state.Put(tx, s.Revocations, id, &state.Revocation{NotBefore: notBefore}, store.Precondition{})
		})
	}
	for _, ended := range []string{state.RevokeAll, state.RevokePrincipal("user:alice"), state.RevokeToken("j")} {
		put(state.RevokeAll, at.Add(-time.Hour))
		put(state.RevokePrincipal("user:alice"), at.Add(-time.Hour))
		if err := s.Check(&token); err != nil {
			t.Fatalf("before %s: %v", ended, err)
		}
		put(ended, at.Add(time.Hour))
		if err := s.Check(&token); !errors.Is(err, authn.ErrExpired) {
			t.Errorf("%s: %v", ended, err)
		}
	}
}

// TestOrderDecidesWhereClocksDisagree: within a minute it counts what the gateway
// knew that issued something, beyond that it counts when.
func TestOrderDecidesWhereClocksDisagree(t *testing.T) {
	clock := newMovingClock()
	s := gateway(t, memstore.New(), state.Options{Now: clock.now})
	alice := &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://sso", Subject: "1"}
	user := seenAs(t, s, alice)
	written := func(build func(tx *state.Tx)) uint64 {
		var tx state.Tx
		build(&tx)
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		return tx.Revision()
	}
	change := func(do func(u *state.User)) uint64 {
		return written(func(tx *state.Tx) {
			item, _ := s.Users.Get(user)
			next := *item.Value
			do(&next)
			state.Put(tx, s.Users, user, &next, state.Unchanged(item))
		})
	}
	good := func(p authn.Principal, issued time.Time, asOf uint64) bool {
		p.Credential, p.Issued, p.AsOf = authn.CredentialRegistryToken, issued, asOf
		_, p.History = s.AsOf()
		return s.Check(&p) == nil
	}
	clock.advance(time.Hour) // what was issued before the start is another matter
	first := clock.now()
	earlier := change(func(u *state.User) { u.NotBefore = first })
	cut := first.Add(10 * time.Second)
	drawn := change(func(u *state.User) { u.NotBefore = cut })
	later := change(func(u *state.User) { u.Email = "alice@example.com" }) // which draws no line
	check := func(who authn.Principal, what string) {
		t.Helper()
		for _, test := range []struct {
			issued time.Duration
			asOf   uint64
			good   bool
		}{
			{-time.Nanosecond, 0, false},
			{0, 0, true},
			{time.Second, 0, true},
			{time.Second, earlier, false},
			{59 * time.Second, drawn - 1, false},
			{time.Minute, drawn - 1, false},
			{time.Minute + time.Nanosecond, drawn - 1, true},
			{-time.Second, drawn, true},
			{-time.Minute, drawn, true},
			{-time.Minute - time.Nanosecond, drawn, false},
			{-2 * time.Minute, later, false},
			{time.Second, drawn, true},
			{time.Second, later, true},
		} {
			if got := good(who, cut.Add(test.issued), test.asOf); got != test.good {
				t.Errorf("%s: issued after %s, knowing %d of %d: good %v", what, test.issued, test.asOf, drawn, got)
			}
		}
	}
	check(*alice, "signed out")
	change(func(u *state.User) { u.NotBefore = time.Time{} })
	drawn = written(func(tx *state.Tx) {
		state.Put(tx, s.Revocations, state.RevokePrincipal("robot:ci"), &state.Revocation{NotBefore: cut}, state.Absent)
	})
	earlier, later = drawn-1, drawn+1
	check(authn.Principal{Kind: authn.KindRobot, Name: "ci"}, "a robot's tokens")
	if !good(authn.Principal{Kind: authn.KindRobot, Name: "other"}, first, 1) || !good(authn.Principal{Kind: authn.KindUser, Name: "ci"}, first, 1) {
		t.Error("it concerns others")
	}
}
