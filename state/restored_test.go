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

// TestCutOffDuringARestore: the store is restored from an older copy while one
// gateway is cut off, and another writes on, to the same numbers and beyond. The
// one that was cut off has what the others have once it is back.
func TestCutOffDuringARestore(t *testing.T) {
	for name, writes := range map[string]int{"behind": 1, "the same number": 2, "beyond": 5} {
		t.Run(name, func(t *testing.T) {
			shared := memstore.New()
			line := faultstore.Wrap(shared)
			a, b := open(t, shared), open(t, line)
			put := func(s *state.State, name string) {
				t.Helper()
				commit(t, s, func(tx *state.Tx) {
					state.Put(tx, s.Robots, name, &state.Robot{Name: name}, store.Precondition{})
				})
			}
			has := func(s *state.State, name string) bool {
				_, ok := s.Robots.Get(name)
				return ok
			}
			put(a, "old")
			restore := shared.Save()
			put(a, "lost-1")
			put(a, "lost-2")
			eventually(t, "both know everything", func() bool { return has(a, "lost-2") && has(b, "lost-2") })
			line.Fail(faultstore.Watch, errors.New("cut off"))
			restore()
			fresh := open(t, shared) // which knows nothing of before
			for range writes {
				put(fresh, "new")
			}
			line.Fail(faultstore.Watch, nil)
			eventually(t, "the one that was cut off has noticed", func() bool {
				return has(b, "new") && has(b, "old") && !has(b, "lost-1") && !has(b, "lost-2") && b.Health().Ready
			})
		})
	}
}

// TestRevocationsAfterARestore: what was issued before a restore is ended by a
// revocation after it, although the number up to which its gateway knew everything
// is a higher one: by a gateway that ran on, by one that was started since, and if
// another one that was cut off has issued it.
func TestRevocationsAfterARestore(t *testing.T) {
	shared := memstore.New()
	line := faultstore.Wrap(shared)
	several := state.Options{Shared: true}
	a, cutOff := gateway(t, shared, several), gateway(t, line, several)
	put := func(name string) {
		t.Helper()
		commit(t, a, func(tx *state.Tx) {
			state.Put(tx, a.Robots, name, &state.Robot{Name: name}, store.Precondition{})
		})
	}
	token := func(by *state.State, issued time.Time) *authn.Principal {
		sequence, history := by.AsOf()
		return &authn.Principal{
			Kind: authn.KindRobot, Name: "ci", Credential: authn.CredentialRegistryToken, CredentialID: "x",
			Issued: issued, AsOf: sequence, History: history,
		}
	}
	put("old")
	restore := shared.Save()
	for range 50 {
		put("lost")
	}
	eventually(t, "both know everything", func() bool { return a.Sequence() > 50 && cutOff.Sequence() == a.Sequence() })
	before := token(a, time.Now().Add(-2*time.Second).Truncate(time.Second))
	line.Fail(faultstore.Watch, errors.New("cut off"))
	restore()
	put("new")
	eventually(t, "it is noticed", func() bool { _, history := a.AsOf(); return history != 0 })
	fresh := gateway(t, shared, several)
	late := token(cutOff, time.Now().Truncate(time.Second))
	commit(t, a, func(tx *state.Tx) {
		state.Put(tx, a.Revocations, state.RevokePrincipal("robot:ci"), &state.Revocation{NotBefore: time.Now().Add(time.Second).Truncate(time.Second)}, store.Precondition{})
	})
	if err := a.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	since := token(a, time.Now()) // in the same second as the restore it could be asked for again
	if err := fresh.CaughtUp(t.Context(), a.Sequence()); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*state.State{"that ran on": a, "started since": fresh} {
		for what, p := range map[string]*authn.Principal{"before": before, "late": late} {
			if err := s.Check(p); !errors.Is(err, authn.ErrExpired) {
				t.Errorf("a token of %s, at the gateway %s: %v", what, name, err)
			}
		}
	}
	if err := a.Check(since); err != nil {
		t.Errorf("a token that was issued since: %v", err)
	}
}

// TestRevocationsAfterAFileWasRestored: the same with a store of one gateway, which is
// stopped to restore it, and which was started again since.
func TestRevocationsAfterAFileWasRestored(t *testing.T) {
	shared := memstore.New()
	write := func(s *state.State, id string) {
		t.Helper()
		commit(t, s, func(tx *state.Tx) {
			state.Put(tx, s.Revocations, id, &state.Revocation{NotBefore: time.Now().Truncate(time.Second)}, store.Precondition{})
		})
	}
	first := open(t, shared)
	write(first, state.RevokeToken("other"))
	restore := shared.Save()
	for range 10 {
		write(first, state.RevokeToken("other"))
	}
	eventually(t, "it knows", func() bool { return first.Sequence() == 11 })
	sequence, history := first.AsOf()
	p := &authn.Principal{
		Kind: authn.KindRobot, Name: "ci", Credential: authn.CredentialRegistryToken, CredentialID: "x",
		Issued: time.Now().Add(-2 * time.Second).Truncate(time.Second), AsOf: sequence, History: history,
	}
	first.Close()
	restore()
	second := open(t, shared)
	write(second, state.RevokePrincipal("robot:ci"))
	for range 20 {
		write(second, state.RevokeToken("other"))
	}
	for name, s := range map[string]*state.State{"that was restored": second, "started since": open(t, shared)} {
		if err := s.Check(p); !errors.Is(err, authn.ErrExpired) {
			t.Errorf("at the gateway %s: %v", name, err)
		}
	}
}
