package state_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// scriptedDirectory answers as it is told.
type scriptedDirectory struct {
	mu     sync.Mutex
	answer error
	groups []string
	asked  int
}

func (d *scriptedDirectory) Lookup(_ context.Context, p *authn.Principal) (*authn.Principal, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	found := *p
	found.Groups = d.groups
	return &found, d.answer
}

func (d *scriptedDirectory) says(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = err
}

// directoryStage is a gateway whose people are in a directory.
type directoryStage struct {
	*testing.T
	skewed
	directory *scriptedDirectory
	state     *state.State
	live      *state.Liveness
}

func newDirectoryStage(t *testing.T, asks bool) *directoryStage {
	x := &directoryStage{T: t, directory: &scriptedDirectory{groups: []string{"dev"}}}
	x.state = gateway(t, memstore.New(), state.Options{Now: x.now})
	v := state.Vouching{Issuer: "ldap", Every: 15 * time.Minute, Grace: 24 * time.Hour, MaxAge: 30 * 24 * time.Hour}
	if asks {
		v.Directory = x.directory
	}
	x.live = x.state.NewLiveness(state.LivenessOptions{Providers: []state.Vouching{v}})
	return x
}

// seen writes down alice, who has shown her password, and an access token of
// hers, the first time.
func (x *directoryStage) seen(proven time.Time) {
	x.Helper()
	id, u, before, changed := x.state.See(&authn.Principal{
		Kind: authn.KindUser, Name: "alice", Issuer: "ldap", Subject: "uid=alice", Groups: []string{"dev"}, Proven: proven,
	})
	if !changed {
		return
	}
	var tx state.Tx
	x.state.PutUser(&tx, id, u, before)
	if before == nil {
		state.Put(&tx, x.state.Tokens, "pat", &state.Token{User: id, Created: x.now().Add(-time.Second), Expires: x.now().Add(365 * 24 * time.Hour)}, store.Precondition{})
	}
	if err := x.state.Commit(x.Context(), &tx); err != nil {
		x.Fatal(err)
	}
	time.Sleep(30 * time.Millisecond)
}

func (x *directoryStage) owner() (*authn.Principal, error) {
	item, _ := x.state.Tokens.Get("pat")
	return x.state.Owning(item.Value.User, item.Value.Created)
}

func (x *directoryStage) after(d time.Duration) {
	x.advance(d)
	x.live.Sweep(x.Context())
	time.Sleep(30 * time.Millisecond)
}

func (x *directoryStage) want(what string, good bool) {
	x.Helper()
	if _, err := x.owner(); (err == nil) != good {
		x.Errorf("%s: %v", what, err)
	}
}

func TestDirectoryIsAskedAboutPeople(t *testing.T) {
	x := newDirectoryStage(t, true)
	x.seen(time.Time{})
	x.after(time.Minute)
	if x.directory.asked != 0 {
		t.Error("asked at once")
	}
	x.directory.groups = []string{"new"}
	x.after(15 * time.Minute)
	if p, err := x.owner(); err != nil || len(p.Groups) != 1 || p.Groups[0] != "new" {
		t.Errorf("%+v, %v", p, err)
	}

	x.directory.says(fmt.Errorf("%w: locked out", authn.ErrDisabled))
	x.after(15 * time.Minute)
	x.want("disabled", false)
	x.seen(x.now().Add(-16 * time.Minute)) // with a password that is remembered
	x.want("a password from before is shown", false)
	asked := x.directory.asked
	x.after(time.Minute)
	if x.directory.asked != asked {
		t.Error("asked again at once about who is disabled")
	}
	x.directory.says(nil)
	x.after(15 * time.Minute)
	x.want("enabled again", true)

	x.directory.says(fmt.Errorf("%w: locked out", authn.ErrDisabled))
	x.after(15 * time.Minute)
	x.want("disabled again", false)
	x.advance(time.Second)
	x.seen(time.Time{})
	x.want("has signed in", true)

	x.directory.says(authn.ErrGone)
	x.after(16 * time.Minute)
	x.want("gone", false)
	x.directory.says(nil)
	asked = x.directory.asked
	x.seen(time.Time{})
	x.after(16 * time.Minute)
	x.want("somebody of the same name signs in", false)
	if x.directory.asked != asked {
		t.Error("asked about who has nothing any more")
	}
	user, _ := x.state.Users.Get(func() string { item, _ := x.state.Tokens.Get("pat"); return item.Value.User }())
	if err := x.state.Check(user.Value.Principal()); err != nil {
		t.Errorf("a sign-in of the new one: %v", err)
	}
}

func TestDirectoryAway(t *testing.T) {
	x := newDirectoryStage(t, true)
	x.seen(time.Time{})
	x.directory.says(fmt.Errorf("%w: connection refused", authn.ErrUnavailable))
	for range 23 * 4 {
		x.after(15 * time.Minute)
	}
	x.want("away for less than the grace period", true)
	x.after(2 * time.Hour)
	if _, err := x.owner(); !errors.Is(err, authn.ErrUnconfirmed) {
		t.Errorf("away for longer: %v", err)
	}
	x.directory.says(nil)
	for range 3 {
		x.after(15 * time.Minute)
	}
	x.want("back", true)
}

// TestDirectoryThatCannotBeAsked: without a service account people have to
// sign in now and then.
func TestDirectoryThatCannotBeAsked(t *testing.T) {
	x := newDirectoryStage(t, false)
	x.seen(time.Time{})
	x.after(29 * 24 * time.Hour)
	x.want("within its time", true)
	x.after(2 * 24 * time.Hour)
	x.want("not seen for 30 days", false)
	x.seen(time.Time{})
	x.want("has signed in", true)
}
