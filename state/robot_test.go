package state_test

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// TestSlowHashesAreThoseInForce: what a robot's hashes cost is forgotten with
// the robot.
func TestSlowHashesAreThoseInForce(t *testing.T) {
	const cost10 = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	s := open(t, memstore.New())
	put := func(name string, hashes ...string) {
		t.Helper()
		r := &state.Robot{Name: name}
		for _, h := range hashes {
			r.Secrets = append(r.Secrets, state.RobotSecret{Hash: h})
		}
		commit(t, s, func(tx *state.Tx) { state.Put(tx, s.Robots, name, r, store.Precondition{}) })
	}
	_, quick := authn.NewSecret(authn.SecretRobot)
	put("fast", quick)
	if got := s.SlowHashes(); len(got) != 0 {
		t.Errorf("%d robots with slow hashes", len(got))
	}
	put("a", cost10, cost10)
	put("b", cost10)
	if got := s.SlowHashes(); len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 1 {
		t.Errorf("got %v", got)
	}
	put("a", quick)
	commit(t, s, func(tx *state.Tx) { state.Delete(tx, s.Robots, "b", store.Precondition{}) })
	if got := s.SlowHashes(); len(got) != 0 {
		t.Errorf("%d robots with slow hashes that are gone", len(got))
	}
}

func TestStoredRobotIsBoundedInWhatItsHashesCost(t *testing.T) {
	const cost12 = "$2a$12$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	r := &state.Robot{Name: "ci"}
	for range 4 {
		r.Secrets = append(r.Secrets, state.RobotSecret{Hash: cost12})
	}
	if _, _, err := r.Compile(); err != nil {
		t.Error(err)
	}
	r.Secrets = append(r.Secrets, r.Secrets[0])
	if _, _, err := r.Compile(); err == nil || !strings.Contains(err.Error(), "together") {
		t.Error(err)
	}
}
