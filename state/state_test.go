package state_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

func open(t testing.TB, s store.Store) *state.State {
	t.Helper()
	st, err := state.Open(context.Background(), s, "default", state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}

// eventually waits for what another gateway has done.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	end := time.Now().Add(time.Second)
	for late := false; !holds(); time.Sleep(5 * time.Millisecond) {
		if late {
			t.Fatalf("after a second: %s", what)
		}
		late = time.Now().After(end) // it is looked once more, however slow looking is
	}
}

func commit(t testing.TB, s *state.State, build func(tx *state.Tx)) {
	t.Helper()
	var tx state.Tx
	build(&tx)
	if err := s.Commit(context.Background(), &tx); err != nil {
		t.Fatal(err)
	}
}

// TestTwoGateways: a robot that is made on one logs in on the other, and what
// is withdrawn on the other ends on the first, within a second.
func TestTwoGateways(t *testing.T) {
	shared := memstore.New()
	a, b := open(t, shared), open(t, shared)
	secret, hash := authn.NewSecret(authn.SecretRobot)
	robot := &state.Robot{
		Name: "team+ci", Secrets: []state.RobotSecret{{Hash: hash}},
		Permissions: []authn.Limit{{Type: "repository", Name: "team/**", Actions: []string{"pull"}}},
	}
	commit(t, a, func(tx *state.Tx) {
		state.Put(tx, a.Robots, robot.Name, robot, state.Absent)
		tx.Note(state.System, "robot.create", state.Object{Kind: "robot", ID: robot.Name}, nil, map[string]string{"name": robot.Name})
	})
	robots, err := authn.NewRobots(nil, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	robots.Follow(b)
	login := func() (*authn.Principal, error) {
		return robots.Authenticate(context.Background(), &authn.Credential{
			Scheme: authn.SchemeBasic, Username: "robot$team+ci", Secret: secret, Remote: netip.MustParseAddr("192.0.2.1"),
		})
	}
	eventually(t, "the robot does not log in on b", func() bool { _, err := login(); return err == nil })
	p, _ := login()
	if b.Permissions(p) == nil {
		t.Error("no permissions on b")
	}
	robot.Disabled = true
	item, _ := b.Robots.Get(robot.Name)
	commit(t, b, func(tx *state.Tx) { state.Put(tx, b.Robots, robot.Name, robot, state.Unchanged(item)) })
	if _, err := login(); !errors.Is(err, authn.ErrDisabled) {
		t.Errorf("own change: %v", err)
	}
	eventually(t, "a does not know", func() bool { i, ok := a.Robots.Get(robot.Name); return ok && i.Value.Disabled })
	var tx state.Tx
	state.Put(&tx, a.Robots, robot.Name, robot, state.Unchanged(item))
	if err := a.Commit(context.Background(), &tx); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a change of what has changed: %v", err)
	}
	item, _ = a.Robots.Get(robot.Name)
	commit(t, a, func(tx *state.Tx) { state.Delete(tx, a.Robots, robot.Name, state.Unchanged(item)) })
	eventually(t, "b still has it", func() bool { return b.RobotByName(robot.Name) == nil })
	if events, err := b.Events(context.Background(), "", 10); err != nil || len(events) != 1 || events[0].Action != "robot.create" {
		t.Errorf("events %v, %v", events, err)
	}
}

// TestCheck: who is locked out, and what has been revoked.
func TestCheck(t *testing.T) {
	s := open(t, memstore.New())
	alice := &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://idp", Subject: "1"}
	renamed := &authn.Principal{Kind: authn.KindUser, Name: "alicia", Issuer: "https://idp", Subject: "1", Issued: time.Now().Add(-time.Hour)}
	bob := &authn.Principal{Kind: authn.KindUser, Name: "bob"}
	token := &authn.Principal{Kind: authn.KindUser, Name: "bob", Credential: authn.CredentialRegistryToken, CredentialID: "j1", Issued: time.Now()}
	s.Seen(alice)
	eventually(t, "alice was not written down", func() bool { _, ok := s.Users.Get(alice.Identity().ID()); return ok })
	change := func(edit func(u *state.User)) {
		item, _ := s.Users.Get(alice.Identity().ID())
		u := *item.Value
		edit(&u)
		commit(t, s, func(tx *state.Tx) { s.PutUser(tx, item.ID, &u, item) })
	}
	revoke := func(id string, at time.Time) {
		commit(t, s, func(tx *state.Tx) {
			state.Put(tx, s.Revocations, id, &state.Revocation{NotBefore: at}, store.Precondition{})
		})
	}
	for _, step := range []struct {
		name string
		do   func()
		who  *authn.Principal
		want error
	}{
		{"nothing", func() {}, alice, nil},
		{"disabled", func() { change(func(u *state.User) { u.Disabled = true }) }, alice, authn.ErrDisabled},
		{"by another name", func() {}, renamed, authn.ErrDisabled},
		{"somebody else", func() {}, bob, nil},
		{"enabled", func() { change(func(u *state.User) { u.Disabled = false }) }, alice, nil},
		{"signed out everywhere", func() { change(func(u *state.User) { u.NotBefore = time.Now() }) }, renamed, authn.ErrExpired},
		{"signed in since", func() {}, alice, nil},
		{"gone", func() { change(func(u *state.User) { u.Gone = true }) }, alice, authn.ErrDisabled},
		{"one token", func() { revoke(state.RevokeToken("j1"), time.Now()) }, token, authn.ErrExpired},
		{"its owner", func() {}, bob, nil},
		{"all tokens of bob", func() { revoke(state.RevokePrincipal("user:bob"), time.Now().Add(time.Second)) }, &authn.Principal{Kind: authn.KindUser, Name: "bob", Credential: authn.CredentialRegistryToken, CredentialID: "j2", Issued: time.Now()}, authn.ErrExpired},
		{"all tokens", func() { revoke(state.RevokeAll, time.Now().Add(time.Second)) }, &authn.Principal{Kind: authn.KindRobot, Name: "ci", Credential: authn.CredentialRegistryToken, CredentialID: "j3", Issued: time.Now()}, authn.ErrExpired},
		{"no token", func() {}, bob, nil},
	} {
		step.do()
		if err := s.Check(step.who); !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
	}
}

// TestNewerRecord: what this program cannot read is not used.
func TestNewerRecord(t *testing.T) {
	shared := memstore.New()
	s := open(t, shared)
	put := func(data string) {
		if _, err := shared.Apply(context.Background(), "default", []store.Change{{Key: store.Key{Kind: "project", ID: "p"}, Data: []byte(data)}}); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"v":1,"r":{"name":"p","patterns":["p/**"]}}`)
	eventually(t, "the project is not there", func() bool { _, ok := s.Projects.Get("p"); return ok })
	put(`{"v":2,"r":{"name":"p","patterns":["p/**"]}}`)
	eventually(t, "the project is still there", func() bool { _, ok := s.Projects.Get("p"); return !ok })
	if _, err := state.Open(context.Background(), shared, "default", state.Options{}); !errors.Is(err, state.ErrVersion) {
		t.Errorf("opening: %v", err)
	}
}

// BenchmarkOpen reads a hundred thousand robots.
func BenchmarkOpen(b *testing.B) {
	shared := memstore.New()
	s := open(b, shared)
	for i := 0; i < 100_000; i += 1000 {
		commit(b, s, func(tx *state.Tx) {
			for j := range 1000 {
				name := fmt.Sprintf("r%d", i+j)
				_, hash := authn.NewSecret(authn.SecretRobot)
				state.Put(tx, s.Robots, name, &state.Robot{
					Name: name, Secrets: []state.RobotSecret{{Hash: hash}},
					Permissions: []authn.Limit{{Type: "repository", Name: name + "/**", Actions: []string{"pull", "push"}}},
				}, state.Absent)
			}
		})
	}
	for b.Loop() {
		st, err := state.Open(context.Background(), shared, "default", state.Options{})
		if err != nil {
			b.Fatal(err)
		}
		st.Close()
	}
}

// BenchmarkCheck is what every request pays, also where many others have been
// restricted.
func BenchmarkCheck(b *testing.B) {
	for _, others := range []int{0, 10_000} {
		b.Run(fmt.Sprint(others), func(b *testing.B) {
			s, p := restricted(b, others)
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Check(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestCheckAllocates: it does not.
func TestCheckAllocates(t *testing.T) {
	s, p := restricted(t, 10)
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Check(p); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// restricted returns a state in which others have been locked out and revoked,
// and a principal who has not.
func restricted(tb testing.TB, others int) (*state.State, *authn.Principal) {
	s := open(tb, memstore.New())
	for i := range others {
		commit(tb, s, func(tx *state.Tx) {
			user := &state.User{Name: fmt.Sprint("u", i), Issuer: "https://idp", Subject: fmt.Sprint(i), Disabled: true}
			state.Put(tx, s.Users, user.Identity().ID(), user, state.Absent)
			state.Put(tx, s.Revocations, state.RevokeToken(fmt.Sprint("j", i)), &state.Revocation{}, state.Absent)
			state.Put(tx, s.Revocations, state.RevokePrincipal(fmt.Sprint("robot:r", i)), &state.Revocation{NotBefore: time.Now()}, state.Absent)
		})
	}
	return s, &authn.Principal{Kind: authn.KindUser, Name: "alice", Issuer: "https://idp", Subject: "alice", Credential: authn.CredentialRegistryToken, CredentialID: "hers"}
}

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
