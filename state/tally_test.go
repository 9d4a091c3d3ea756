package state_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// TestGuessesAreCountedOnAllGateways: whoever shows wrong passwords to two gateways
// in turn is slowed down as by one.
func TestGuessesAreCountedOnAllGateways(t *testing.T) {
	shared := memstore.New()
	a, b := gateway(t, shared, state.Options{Shared: true}), gateway(t, shared, state.Options{Shared: true})
	one, two := authn.NewThrottle(nil), authn.NewThrottle(nil)
	one.Beside(a)
	two.Beside(b)
	wrong := func(x *authn.Throttle, from string, n int) error {
		return x.Failed(&authn.Credential{
			Scheme: authn.SchemeBasic, Username: "alice", Secret: fmt.Sprint("guess", n), Remote: netip.MustParseAddr(from),
		}, authn.ErrInvalid)
	}
	slowed := func(err error) bool {
		_, ok := err.(*authn.ThrottledError)
		return ok
	}
	for n := range 9 {
		if slowed(wrong(one, "192.0.2.1", n)) {
			t.Fatal("slowed down too early")
		}
	}
	a.FlushTallies(context.Background())
	eventually(t, "the other one does not know", func() bool { return b.Tally("strike", "192.0.2.1 alice", 0, time.Minute) == 9 })
	if slowed(wrong(two, "192.0.2.1", 100)) {
		t.Error("the tenth is slowed down")
	}
	if !slowed(wrong(two, "192.0.2.1", 101)) {
		t.Error("the eleventh is not slowed down")
	}
	if slowed(wrong(two, "192.0.2.2", 100)) {
		t.Error("another address is slowed down")
	}
}

// TestTalliesAreBounded: a flood of names costs the store no more than a bounded
// number of records, and what happens to everybody is not written.
func TestTalliesAreBounded(t *testing.T) {
	st := gateway(t, memstore.New(), state.Options{Shared: true})
	for i := range 10_000 {
		st.Tally("strike", fmt.Sprint("once ", i), 1, time.Minute)
	}
	st.FlushTallies(context.Background())
	if n := len(st.Tallies.Sorted()); n != 0 {
		t.Errorf("%d are written of those who were wrong once", n)
	}
	before := st.Sequence()
	for i := range 10_000 {
		st.Tally("strike", fmt.Sprint("often ", i), 5, time.Minute)
	}
	st.FlushTallies(context.Background())
	if n := len(st.Tallies.Sorted()); n == 0 || n > 200 {
		t.Errorf("%d are written at a time", n)
	}
	if err := st.CaughtUp(context.Background(), before+1); err != nil {
		t.Fatal(err)
	}
	alone := gateway(t, memstore.New(), state.Options{})
	alone.Tally("strike", "often", 5, time.Minute)
	alone.FlushTallies(context.Background())
	if n := len(alone.Tallies.Sorted()); n != 0 {
		t.Errorf("%d are written where there is one gateway", n)
	}
}
