package state_test

import (
	"errors"
	"testing"

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
