package state_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// TestHealth says in a word how the store is, and is good again by itself.
func TestHealth(t *testing.T) {
	s := faultstore.Wrap(memstore.New())
	st := open(t, s)
	write := func() error {
		var tx state.Tx
		state.Put(&tx, st.Settings, "x", &state.Setting{}, store.Precondition{})
		return st.Commit(t.Context(), &tx)
	}
	is := func(want state.Condition) func() bool {
		return func() bool { return st.Health().Condition == want }
	}
	eventually(t, "good at first", is(state.StoreGood))
	for err, want := range map[error]state.Condition{store.ErrFull: state.StoreFull, store.ErrReadOnly: state.StoreReadOnly} {
		s.Fail(faultstore.Apply, err)
		for range 2 {
			if !errors.Is(write(), err) {
				t.Error("a change was made")
			}
			if !is(want)() || !errors.Is(st.Health().Err, err) || st.Health().Since.IsZero() {
				t.Errorf("%v: %+v", err, st.Health())
			}
		}
		s.Fail(faultstore.Apply, nil)
		if err := write(); err != nil || !is(state.StoreGood)() {
			t.Errorf("%v: %+v", err, st.Health())
		}
	}
	for err, want := range map[error]state.Condition{store.ErrUnavailable: state.StoreAway, store.ErrDamaged: state.StoreDamaged} {
		s.Fail(faultstore.Watch, err)
		eventually(t, string(want), is(want))
		s.Fail(faultstore.Watch, nil)
		eventually(t, "good again", func() bool { return is(state.StoreGood)() && st.Health().Ready })
	}
}

// TestStale: once nothing was heard from the store for too long, what only the
// store vouches for is refused, and nothing else.
func TestStale(t *testing.T) {
	s := faultstore.Wrap(memstore.New())
	st := open(t, s)
	commit(t, st, func(tx *state.Tx) {
		state.Put(tx, st.Robots, "stored", &state.Robot{Name: "stored"}, state.Absent)
	})
	principals := map[string]struct {
		p     *authn.Principal
		stale bool
	}{
		"a stored robot":             {&authn.Principal{Kind: authn.KindRobot, Name: "stored", Authenticator: authn.RobotsName, Credential: "robot_secret"}, true},
		"its registry token":         {&authn.Principal{Kind: authn.KindRobot, Name: "stored", Authenticator: authn.RobotsName, Credential: authn.CredentialRegistryToken, Origin: "robot_secret"}, true},
		"a declared robot":           {&authn.Principal{Kind: authn.KindRobot, Name: "declared", Authenticator: authn.RobotsName, Credential: "robot_secret"}, false},
		"an access token":            {&authn.Principal{Kind: authn.KindUser, Name: "alice", Authenticator: state.TokensName, Credential: state.CredentialToken}, true},
		"an identity token":          {&authn.Principal{Kind: authn.KindUser, Name: "alice", Authenticator: authn.IdentityTokensName, Credential: authn.CredentialIdentityToken}, true},
		"a session":                  {&authn.Principal{Kind: authn.KindUser, Name: "alice", Authenticator: "sessions", Credential: "session"}, true},
		"a registry token of one":    {&authn.Principal{Kind: authn.KindUser, Name: "alice", Authenticator: "sessions", Credential: authn.CredentialRegistryToken, Origin: "session"}, true},
		"who proves who they are":    {&authn.Principal{Kind: authn.KindUser, Name: "alice", Authenticator: "oidc:x", Credential: "id_token"}, false},
		"a workload as stored robot": {&authn.Principal{Kind: authn.KindRobot, Name: "stored", Authenticator: "workload:x", Credential: "id_token"}, false},
	}
	all := func(stale bool) bool {
		for _, c := range principals {
			err := st.Check(c.p)
			if got := errors.Is(err, store.ErrStale); got != (stale && c.stale) || !got && err != nil {
				return false
			}
		}
		return true
	}
	s.Fail(faultstore.Watch, store.ErrUnavailable)
	eventually(t, "away", func() bool { return !st.Health().Ready })
	if !all(false) {
		t.Error("refused though max_stale is not set")
	}
	st.SetMaxStale(300 * time.Millisecond)
	eventually(t, "stale", func() bool { return all(true) && st.Health().Condition == state.StoreStale })
	st.SetMaxStale(time.Hour)
	if !all(false) || st.Health().Condition != state.StoreAway {
		t.Error("refused too early")
	}
	st.SetMaxStale(time.Millisecond)
	s.Fail(faultstore.Watch, nil)
	eventually(t, "back", func() bool { return all(false) })
}
