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
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// scripted is a provider whose refresh tokens are good once.
type scripted struct {
	testing.TB
	mu     sync.Mutex
	users  map[string]string // user by refresh token
	asked  map[string]int    // how often, by user
	spent  map[string]bool
	gone   map[string]bool
	groups []string
	away   error
	silent bool // does not say who somebody is
	slow   time.Duration
	n      int
}

func newScripted(t testing.TB) *scripted {
	return &scripted{TB: t, users: map[string]string{}, asked: map[string]int{}, spent: map[string]bool{}, gone: map[string]bool{}}
}

func (p *scripted) token(user string) string {
	p.n++
	token := fmt.Sprintf("rt-%s-%d", user, p.n)
	p.users[token] = user
	return token
}

func (p *scripted) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *scripted) Refresh(ctx context.Context, token string) (*authn.Refreshed, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slow > 0 {
		time.Sleep(p.slow)
	}
	if p.away != nil {
		p.asked[""]++
		return nil, fmt.Errorf("%w: %w", authn.ErrUnavailable, p.away)
	}
	if p.spent[token] {
		p.Errorf("the refresh token %s is used twice", token)
	}
	user, ok := p.users[token]
	if !ok || p.gone[user] {
		return nil, fmt.Errorf("%w: invalid_grant", authn.ErrDisabled)
	}
	p.spent[token] = true
	p.asked[user]++
	return &authn.Refreshed{RefreshToken: p.token(user)}, nil
}

func (p *scripted) Describe(_ context.Context, _ *authn.Refreshed, subject string) (*authn.Principal, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent {
		return nil, errors.New("userinfo: 500")
	}
	if p.groups == nil {
		return nil, nil
	}
	return &authn.Principal{Kind: authn.KindUser, Name: subject, Subject: subject, Groups: p.groups}, nil
}

// livenessStage is gateways that share a store.
type livenessStage struct {
	*testing.T
	skewed
	provider *scripted
	store    store.Store
	gateways []*state.State
	live     []*state.Liveness
	sealer   *state.Sealer
	mu       sync.Mutex
	counted  map[state.LivenessOutcome]int
}

// count is what liveness tells of its questions.
func (x *livenessStage) count(o state.LivenessOutcome) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.counted[o]++
}

// wantCounted fails the test unless the questions came out like that.
func (x *livenessStage) wantCounted(o state.LivenessOutcome, least, most int) {
	x.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if n := x.counted[o]; n < least || n > most {
		x.Errorf("outcome %s: counted %d, want %d to %d; all: %v", o, n, least, most, x.counted)
	}
}

func newLivenessStage(t *testing.T, s store.Store, gateways int) *livenessStage {
	t.Helper()
	x := &livenessStage{T: t, provider: newScripted(t), store: s, counted: map[state.LivenessOutcome]int{}}
	for range gateways {
		st := gateway(t, s, state.Options{Now: x.now})
		sealer, err := st.NewSealer(t.Context(), state.SealerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		x.sealer = sealer
		x.gateways = append(x.gateways, st)
		x.live = append(x.live, st.NewLiveness(state.LivenessOptions{Sealer: sealer, Count: x.count, Providers: []state.Vouching{{
			Issuer: "https://idp", Provider: x.provider, Every: 15 * time.Minute, Grace: 24 * time.Hour, MaxAge: 30 * 24 * time.Hour,
		}}}))
	}
	return x
}

// signIn writes down somebody who signed in, with an access token; without
// refresh the provider gave no refresh token.
func (x *livenessStage) signIn(name string, refresh bool) string {
	x.Helper()
	st := x.gateways[0]
	for {
		p := &authn.Principal{Kind: authn.KindUser, Name: name, Subject: name, Issuer: "https://idp", Groups: []string{"old"}}
		id, u, before, _ := st.See(p)
		u.Gone = false
		if refresh {
			x.provider.set(func() {
				u.Provider = &state.ProviderGrant{Sealed: x.sealer.Seal([]byte(x.provider.token(name)), state.ProviderPlace(id)), Checked: x.now()}
			})
		}
		var tx state.Tx
		st.PutUser(&tx, id, u, before)
		state.Put(&tx, st.Tokens, "pat-"+name, &state.Token{User: id, Created: x.now().Add(-time.Second), Expires: x.now().Add(365 * 24 * time.Hour)}, store.Precondition{})
		if err := st.Commit(x.Context(), &tx); err == nil {
			return id
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// good reports whether the gateways let in who shows something that was
// issued a second ago.
func (x *livenessStage) good(id string) bool {
	x.Helper()
	n := 0
	for _, st := range x.gateways {
		item, ok := st.Tokens.Get("pat-" + id)
		if !ok {
			x.Fatal("no token")
		}
		if _, err := st.Owning(item.Value.User, item.Value.Created); err == nil {
			n++
		}
	}
	return n == len(x.gateways)
}

func (x *livenessStage) sweep() {
	var all sync.WaitGroup
	for _, l := range x.live {
		all.Go(func() { l.Sweep(x.Context()) })
	}
	all.Wait()
	time.Sleep(30 * time.Millisecond)
}

func TestLiveness(t *testing.T) {
	x := newLivenessStage(t, memstore.New(), 2)
	x.signIn("alice", true)
	x.signIn("bob", true)
	x.sweep()
	if n := len(x.provider.asked); n != 0 {
		t.Errorf("%d people were asked about at once", n)
	}
	for range 6 { // with two gateways and one-time tokens
		x.advance(15 * time.Minute)
		x.sweep()
	}
	if x.provider.asked["alice"] != 6 || !x.good("alice") {
		t.Errorf("asked %v", x.provider.asked)
	}
	x.provider.set(func() { x.provider.gone["alice"] = true })
	x.advance(15 * time.Minute)
	x.sweep()
	if x.good("alice") || !x.good("bob") {
		t.Errorf("alice is gone: alice %t, bob %t", x.good("alice"), x.good("bob"))
	}
	x.wantCounted(state.LivenessGone, 1, 1)
	x.wantCounted(state.LivenessOK, 13, 13) // six for alice, seven for bob
	x.advance(15 * time.Minute)
	x.sweep() // is not asked about any more
	x.provider.set(func() { x.provider.gone["alice"] = false })
	x.signIn("alice", true)
	time.Sleep(50 * time.Millisecond)
	if !x.good("alice") {
		t.Error("signing in again does not help")
	}
}

func TestLivenessRefreshesGroups(t *testing.T) {
	x := newLivenessStage(t, memstore.New(), 1)
	id := x.signIn("alice", true)
	x.provider.groups = []string{"new"}
	x.advance(15 * time.Minute)
	x.sweep()
	item, _ := x.gateways[0].Users.Get(id)
	if g := item.Value.Groups; len(g) != 1 || g[0] != "new" {
		t.Errorf("groups %v", g)
	}
	x.provider.set(func() { x.provider.silent = true })
	x.advance(15 * time.Minute)
	x.sweep()
	x.wantCounted(state.LivenessUndescribed, 1, 1)
	if item, _ := x.gateways[0].Users.Get(id); len(item.Value.Groups) != 1 || item.Value.Gone {
		t.Errorf("not described: %+v", item.Value)
	}
}

func TestLivenessWhileTheProviderIsAway(t *testing.T) {
	x := newLivenessStage(t, memstore.New(), 2)
	for i := range 50 {
		x.signIn(fmt.Sprintf("user%d", i), true)
	}
	x.signIn("alice", true)
	x.provider.set(func() { x.provider.away = fmt.Errorf("connection refused") })
	for range 23 * 4 {
		x.advance(15 * time.Minute)
		x.sweep()
	}
	if !x.good("alice") {
		t.Fatal("ended while the provider was away for less than the grace period")
	}
	if n := x.provider.asked[""]; n > 23*4*20 {
		t.Errorf("the provider was asked %d times while it was away", n)
	}
	x.advance(3 * time.Hour)
	x.sweep()
	x.sweep()
	if x.good("alice") {
		t.Error("goes on after the grace period")
	}
	x.provider.set(func() { x.provider.away = nil })
	for range 20 {
		x.advance(15 * time.Minute)
		x.sweep()
	}
	if !x.good("alice") {
		t.Error("does not go on when the provider is back")
	}
	x.wantCounted(state.LivenessProviderDown, 23, 23*4*20)
	x.wantCounted(state.LivenessRested, 51, 51)
	x.wantCounted(state.LivenessGone, 0, 0)
}

func TestLivenessWithoutRefreshToken(t *testing.T) {
	x := newLivenessStage(t, memstore.New(), 1)
	x.signIn("alice", false)
	x.advance(29 * 24 * time.Hour)
	x.sweep()
	if !x.good("alice") {
		t.Error("ended early")
	}
	x.advance(2 * 24 * time.Hour)
	x.sweep()
	if x.good("alice") {
		t.Error("goes on without a sign-in")
	}
	x.signIn("alice", false)
	if !x.good("alice") {
		t.Error("signing in again does not help")
	}
}

// TestLivenessKeepsWhatItCannotWrite: a one-time token that could not be
// written down is not lost.
func TestLivenessKeepsWhatItCannotWrite(t *testing.T) {
	faulty := faultstore.Wrap(memstore.New())
	x := newLivenessStage(t, faulty, 1)
	x.signIn("alice", true)
	x.advance(15 * time.Minute)
	x.provider.set(func() { x.provider.slow = 200 * time.Millisecond })
	go func() {
		time.Sleep(100 * time.Millisecond)
		faulty.Fail(faultstore.Apply, store.ErrUnavailable)
	}()
	x.sweep()
	if x.provider.asked["alice"] != 1 {
		t.Fatalf("asked %v", x.provider.asked)
	}
	x.wantCounted(state.LivenessUnsaved, 1, 1)
	faulty.Fail(faultstore.Apply, nil)
	for range 3 {
		x.advance(15 * time.Minute)
		x.sweep()
	}
	if !x.good("alice") || x.provider.asked["alice"] < 2 {
		t.Errorf("asked %v", x.provider.asked)
	}
}

// TestLivenessOfASignInMeanwhile: what somebody brings from a new sign-in is
// newer than the answer about the old one.
func TestLivenessOfASignInMeanwhile(t *testing.T) {
	x := newLivenessStage(t, memstore.New(), 1)
	x.signIn("alice", true)
	x.advance(15 * time.Minute)
	x.provider.set(func() { x.provider.slow = 200 * time.Millisecond; x.provider.gone["alice"] = true })
	done := make(chan struct{})
	go func() { x.sweep(); close(done) }()
	time.Sleep(50 * time.Millisecond)
	x.signIn("alice", true)
	<-done
	if !x.good("alice") {
		t.Error("the answer about the old sign-in ended the new one")
	}
}

// TestLivenessWithAnotherKey: a refresh token that cannot be opened ends
// nobody.
func TestLivenessWithAnotherKey(t *testing.T) {
	x := newLivenessStage(t, memstore.New(), 1)
	id := x.signIn("alice", true)
	item, _ := x.gateways[0].Users.Get(id)
	next := *item.Value
	next.Provider = &state.ProviderGrant{Sealed: []byte("of another key"), Checked: x.now()}
	var tx state.Tx
	state.Put(&tx, x.gateways[0].Users, id, &next, state.Unchanged(item))
	if err := x.gateways[0].Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	x.advance(15 * time.Minute)
	x.sweep()
	x.wantCounted(state.LivenessUnreadable, 1, 1)
	if !x.good("alice") || len(x.provider.asked) != 0 {
		t.Errorf("asked %v", x.provider.asked)
	}
}

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
