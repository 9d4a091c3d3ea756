package gateway

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// sharedStore stands for a store that several gateways have open.
type sharedStore struct{ store.Opener }

func (sharedStore) Shared() bool { return true }

// leasesOn returns the tag leases of a gateway on a store.
func leasesOn(t *testing.T, s store.Store) *TagLeases {
	t.Helper()
	opened, err := state.Open(t.Context(), s, "default", state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	l := NewTagLeases(sharedStore{}, opened)
	l.lasts, l.renewed = 500*time.Millisecond, 100*time.Millisecond
	return l
}

// TestGatewaysRaceForATag: of two gateways that push a new immutable tag at the
// same moment one wins, however long the push takes.
func TestGatewaysRaceForATag(t *testing.T) {
	s := memstore.New()
	gateways := []*TagLeases{leasesOn(t, s), leasesOn(t, s)}
	for round, slow := range []time.Duration{0, time.Millisecond, 1200 * time.Millisecond} {
		var exists atomic.Bool // at the registry
		var wins atomic.Int32
		var group sync.WaitGroup
		for _, g := range gateways {
			for range 2 {
				group.Go(func() {
					held, err := g.hold(t.Context(), t.Context(), "team/app", []string{"v1", "latest", "v1"})
					if err != nil {
						t.Error(err)
						return
					}
					defer held.release()
					if exists.Load() {
						return
					}
					time.Sleep(slow)
					if held.push.Err() != nil {
						t.Error("the lease was lost", context.Cause(held.push))
					}
					exists.Store(true)
					wins.Add(1)
				})
			}
		}
		group.Wait()
		if wins.Load() != 1 {
			t.Errorf("round %d: %d won", round, wins.Load())
		}
	}
}

// TestLostLeaseEndsThePush: what is under way must not go on once another
// gateway may have the tag.
func TestLostLeaseEndsThePush(t *testing.T) {
	s := faultstore.Wrap(memstore.New())
	held, err := leasesOn(t, s).hold(t.Context(), t.Context(), "team/app", []string{"v1"})
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	s.Fail(faultstore.Apply, store.ErrUnavailable)
	select {
	case <-held.push.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the push goes on")
	}
	if cause := context.Cause(held.push); !errors.Is(cause, errTagLeaseLost) {
		t.Errorf("ended with %v", cause)
	}
}

// TestPushIsNotSentAfterItsLease: a process that was stopped in the middle does
// not know it. Whatever its clock says then, it sends nothing for a tag that
// somebody else may have.
func TestPushIsNotSentAfterItsLease(t *testing.T) {
	s := memstore.New()
	var ahead atomic.Int64
	opened, err := state.Open(t.Context(), s, "default", state.Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	l := NewTagLeases(sharedStore{}, opened)
	l.renewed = time.Hour // it does not come to it
	held, err := l.hold(t.Context(), t.Context(), "team/app", []string{"v0", "v1"})
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	body := &watchedBody{ReadCloser: io.NopCloser(strings.NewReader("manifest")), look: held.check, always: true, left: 8}
	piece := make([]byte, 4)
	if n, err := body.Read(piece); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	ahead.Store(int64(l.lasts - 100*time.Millisecond))
	if err := held.check(); err != nil {
		t.Errorf("before it ends: %v", err)
	}
	ahead.Store(int64(l.lasts))
	if n, err := body.Read(piece); n != 0 || !errors.Is(err, errTagLeaseLost) {
		t.Errorf("sent %d bytes, %v", n, err)
	}
	if !errors.Is(context.Cause(held.push), errTagLeaseLost) {
		t.Error("what waits for the registry goes on")
	}
	ahead.Store(0)
	if n, err := body.Read(piece); n != 0 || !errors.Is(err, errTagLeaseLost) {
		t.Errorf("later sent %d bytes, %v", n, err)
	}
}

// TestPushEndsWithItsLease: the lease is the time that a push has, also while
// nothing is asked of it.
func TestPushEndsWithItsLease(t *testing.T) {
	l := leasesOn(t, memstore.New())
	l.renewed = time.Hour
	held, err := l.hold(t.Context(), t.Context(), "team/app", []string{"v1"})
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	select {
	case <-held.push.Done():
	case <-time.After(5 * time.Second):
		t.Error("the push goes on")
	}
}

// TestDeadGatewayFreesItsTag: a lease that nobody renews ends.
func TestDeadGatewayFreesItsTag(t *testing.T) {
	s := memstore.New()
	dead, alive := leasesOn(t, s), leasesOn(t, s)
	if _, err := dead.state.AcquireLease(t.Context(), "tag/team/app:v1", dead.lasts); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := alive.hold(soon, t.Context(), "team/app", []string{"v0", "v1"}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "v1") {
		t.Fatalf("took a tag that is held: %v", err)
	}
	held, err := alive.hold(t.Context(), t.Context(), "team/app", []string{"v1"})
	if err != nil {
		t.Fatal(err)
	}
	held.release()
	// v0 was given back though v1 could not be had.
	held, err = dead.hold(t.Context(), t.Context(), "team/app", []string{"v0"})
	if err != nil {
		t.Fatal(err)
	}
	held.release()
}

// TestNoLeasesForOneGateway: with a file, which one process has, a push that
// depends on a tag's absence is held in memory only.
func TestNoLeasesForOneGateway(t *testing.T) {
	if NewTagLeases(struct{ store.Opener }{}, nil) != nil {
		t.Error("leases for a store that nobody else has")
	}
}
