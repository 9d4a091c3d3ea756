package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// grants are rules of one grant for each robot.
func (u *underWay) grants(t *testing.T, list ...authz.Grant) {
	t.Helper()
	p, err := authz.Compile(authz.Config{Projects: []authz.Project{{Name: "team", Patterns: []string{"team/**"}, Grants: list}}})
	if err != nil {
		t.Fatal(err)
	}
	u.policy.Store(p)
	u.exchange.policy = p
}

// TestTagIsHeldForTheRightsOfOthers: whoever may move a tag takes its turn where
// somebody else may only make it.
func TestTagIsHeldForTheRightsOfOthers(t *testing.T) {
	may := authz.Grant{Actions: []string{"push", "overwrite"}, Subjects: []string{"robot:ci"}}
	u := sends(t, http.MethodPut, "/v2/team/app/manifests/dev", "x")
	u.grants(t, may, authz.Grant{Actions: []string{"push"}, Subjects: []string{"robot:other"}})
	if got, err := u.settled(); got != "allowed" || err != nil || u.held == nil || len(u.held.tags) != 1 || u.held.tags[0] != "dev" {
		t.Errorf("%s, %v, holds %+v", got, err, u.held)
	}
	// What it has it does not take once more, what it lacks it takes with the rest.
	before := u.held
	if err := u.hold(t.Context(), "team/app", []string{"dev"}); err != nil || u.held != before {
		t.Errorf("%v, held once more", err)
	}
	u.absent = true
	if err := u.hold(t.Context(), "team/app", []string{"dev", everyTag}); err != nil || u.held == before || len(u.held.tags) != 2 || u.absent {
		t.Errorf("%v, holds %+v, absent %v", err, u.held, u.absent)
	}
	u.held.release()
	if n := len(u.front.Locks.held); n != 0 {
		t.Errorf("%d locks are left", n)
	}
}

// TestRulesHoldAtTheirTime: what ends while the body comes ends the request.
func TestRulesHoldAtTheirTime(t *testing.T) {
	u := sends(t, http.MethodPatch, "/v2/team/app/blobs/uploads/u1", "x")
	u.grants(t, authz.Grant{Actions: []string{"push"}, Subjects: []string{"robot:ci"}, Conditions: authz.Conditions{Until: "2020-01-01"}})
	u.at = time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)
	if u.decide(); !u.decision.Allowed {
		t.Fatal(u.decision.Reason())
	}
	if err := u.lookAgain(); !errors.As(err, new(*refusedError)) {
		t.Errorf("it goes on: %v", err)
	}
}

// TestHoldsOfManyGateways: a tag is taken from all of them, given back to all of
// them, and what is sent for it ends with it.
func TestHoldsOfManyGateways(t *testing.T) {
	shared := memstore.New()
	wrapped := faultstore.Wrap(shared)
	other := leasesOn(t, shared)
	busy := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		held, err := other.hold(ctx, t.Context(), "team/app", []string{"v1"})
		if err == nil {
			held.release()
		}
		return err != nil
	}
	u := sends(t, http.MethodPut, "/v2/team/app/manifests/v1", "body")
	u.front.Leases = leasesOn(t, wrapped)
	if err := u.hold(t.Context(), "team/app", []string{"v1"}); err != nil || !busy() {
		t.Fatalf("it is not held: %v", err)
	}
	ended := u.watched()
	wrapped.Fail(faultstore.Apply, store.ErrUnavailable)
	select {
	case <-u.r.Context().Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the push goes on without its tag")
	}
	time.Sleep(600 * time.Millisecond) // longer than the lease
	if got, err := io.ReadAll(u.r.Body); len(got) != 0 || !errors.Is(err, errTagLeaseLost) || !errors.Is(ended(), errTagLeaseLost) || !errors.Is(u.lost(), errTagLeaseLost) {
		t.Errorf("sent %q, %v", got, err)
	}
	wrapped.Fail(faultstore.Apply, nil)
	u.held.release()
	u.held = nil

	// Without the store: whose right depends on nothing goes on, others do not.
	u = sends(t, http.MethodPut, "/v2/team/app/manifests/v1", "body")
	wrapped.Fail(faultstore.Apply, store.ErrUnavailable)
	u.front.Leases = leasesOn(t, wrapped)
	if u.decide(); u.decision.Allowed {
		t.Fatal("it depends on nothing")
	}
	if err := u.hold(t.Context(), "team/app", []string{"v1"}); !errors.Is(err, store.ErrUnavailable) || u.held != nil || len(u.front.Locks.held) != 0 {
		t.Errorf("%v, holds %+v, %d locks", err, u.held, len(u.front.Locks.held))
	}
	u.decision.Allowed = true
	if err := u.hold(t.Context(), "team/app", []string{"v1"}); err != nil || u.held == nil {
		t.Errorf("%v, holds %+v", err, u.held)
	}
	u = sends(t, http.MethodDelete, "/v2/team/app/manifests/sha256:"+strings.Repeat("a", 64), "")
	u.front.Leases = leasesOn(t, wrapped)
	u.decision.Allowed = true
	if err := u.hold(t.Context(), "team/app", []string{everyTag}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a deletion: %v", err)
	}
	wrapped.Fail(faultstore.Apply, nil)

	// Somebody else has it.
	held, err := other.hold(t.Context(), t.Context(), "team/app", []string{"v1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	u = sends(t, http.MethodPut, "/v2/team/app/manifests/v1", "body")
	u.front.Leases = leasesOn(t, wrapped)
	if err := u.hold(ctx, "team/app", []string{"v1"}); !errors.Is(err, errTagBusy) || len(u.front.Locks.held) != 0 {
		t.Errorf("%v, %d locks", err, len(u.front.Locks.held))
	}
	held.release()
	if err := u.hold(t.Context(), "team/app", []string{"v1"}); err != nil || !busy() {
		t.Errorf("%v, it is not held", err)
	}
	if u.held.release(); busy() {
		t.Error("it was not given back")
	}
}

// TestHeadIsLookedAtOfEveryAnswer, also where the registry only writes.
func TestHeadIsLookedAtOfEveryAnswer(t *testing.T) {
	for name, write := range map[string]func(*gate) error{
		"written": func(g *gate) error { _, err := g.Write([]byte("x")); return err },
		"read":    func(g *gate) error { _, err := g.ReadFrom(strings.NewReader("x")); return err },
	} {
		u := forwards(t, "GET", "/v2/team/app/manifests/v1", "")
		u.w.Header().Set("Set-Cookie", "a=b")
		g := &gate{ResponseWriter: u.w, exchange: u.exchange, last: true}
		if err := write(g); err != nil {
			t.Error(err)
		}
		if h := u.w.Header(); h.Get("Set-Cookie") != "" || h.Get("Cache-Control") != "private" || !g.passed {
			t.Errorf("%s: %v", name, h)
		}
	}
}
