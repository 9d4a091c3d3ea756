package state_test

import (
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// gateway opens a state as a gateway does; several on one store are several
// gateways.
func gateway(t testing.TB, s store.Store, o state.Options) *state.State {
	t.Helper()
	st, err := state.Open(t.Context(), s, "default", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}
