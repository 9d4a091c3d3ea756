package state_test

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// TestOlderAssertion: an ID token that was issued before somebody lost a group
// does not give it back to what else the user has, which outlasts the token.
func TestOlderAssertion(t *testing.T) {
	clock := new(skewed)
	st := gateway(t, memstore.New(), state.Options{Now: clock.now})
	start := clock.now()
	see := func(issued time.Time, groups ...string) {
		t.Helper()
		id, u, before, changed := st.See(&authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://idp", Subject: "a", Groups: groups, Issued: issued})
		if !changed {
			return
		}
		var tx state.Tx
		st.PutUser(&tx, id, u, before)
		if err := st.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
	}
	want := func(groups ...string) {
		t.Helper()
		for item := range st.Users.All() {
			if !slices.Equal(item.Value.Groups, groups) {
				t.Errorf("groups %v, want %v", item.Value.Groups, groups)
			}
		}
	}
	see(start, "dev", "admins")
	clock.advance(10 * time.Minute)
	see(start.Add(10*time.Minute), "dev")
	want("dev")
	see(start, "dev", "admins")
	want("dev")
	clock.advance(15 * time.Minute) // when it would be written for its age
	see(start, "dev", "admins")
	want("dev")
	see(start.Add(20*time.Minute), "dev", "ops")
	want("dev", "ops")
	see(time.Time{}, "dev") // proven just now
	want("dev")
	see(clock.now().Add(-30*time.Second), "dev", "ops") // clocks differ a little
	want("dev", "ops")
}
