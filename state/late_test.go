package state_test

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/boltstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// lateStore answers one Apply late, as a goroutine sees it that does not get a
// processor.
type lateStore struct {
	store.Store
	gate atomic.Pointer[chan struct{}]
	made chan struct{} // closed when the late change was made
}

func newLateStore(inner store.Store) *lateStore {
	return &lateStore{Store: inner, made: make(chan struct{})}
}

// holdNext makes the next Apply answer only once release is called.
func (s *lateStore) holdNext() (release func()) {
	gate := make(chan struct{})
	s.gate.Store(&gate)
	return func() { close(gate) }
}

func (s *lateStore) Apply(ctx context.Context, realm string, changes []store.Change, history ...store.Entry) (uint64, error) {
	gate := s.gate.Swap(nil)
	n, err := s.Store.Apply(ctx, realm, changes, history...)
	if gate != nil {
		close(s.made)
		<-*gate
	}
	return n, err
}

func newSession() *state.Session {
	return &state.Session{User: "u", Expires: time.Now().Add(time.Hour)}
}

// TestSlowCommitLeavesTheDeadAlone: a change whose answer comes after the store
// has told of a later deletion does not put the record back.
func TestSlowCommitLeavesTheDeadAlone(t *testing.T) {
	s := newLateStore(memstore.New())
	st := open(t, s)
	commit(t, st, func(tx *state.Tx) { state.Put(tx, st.Sessions, "x", newSession(), state.Absent) })
	item, _ := st.Sessions.Get("x")
	release := s.holdNext()
	done := make(chan error)
	go func() {
		used := *item.Value
		used.Used = time.Now()
		var tx state.Tx
		state.Put(&tx, st.Sessions, "x", &used, state.Unchanged(item))
		done <- st.Commit(context.Background(), &tx)
	}()
	<-s.made
	var deletion state.Tx
	state.Delete(&deletion, st.Sessions, "x", store.Precondition{})
	if err := st.Commit(context.Background(), &deletion); err != nil {
		t.Fatal(err)
	}
	if err := st.CaughtUp(context.Background(), deletion.Revision()); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, ok := st.Sessions.Get("x"); ok {
		t.Error("a session that was ended is there again")
	}
}

// TestSlowCommitBeforeARestore: what was written before the store went back is
// not there afterwards, however late its answer is.
func TestSlowCommitBeforeARestore(t *testing.T) {
	inner := memstore.New()
	swap := &swapStore{Store: inner}
	s := newLateStore(swap)
	st := open(t, s)
	for range 5 {
		commit(t, st, func(tx *state.Tx) { state.Put(tx, st.Settings, "any", &state.Setting{}, store.Precondition{}) })
	}
	if err := st.CaughtUp(context.Background(), 5); err != nil {
		t.Fatal(err)
	}
	release := s.holdNext()
	done := make(chan error)
	go func() {
		var tx state.Tx
		state.Put(&tx, st.Sessions, "x", newSession(), state.Absent)
		done <- st.Commit(context.Background(), &tx)
	}()
	<-s.made
	restored := memstore.New()
	if _, err := restored.Apply(context.Background(), "default", []store.Change{{Key: store.Key{Kind: "setting", ID: "other"}, Data: []byte(`{"v":1,"r":{}}`)}}); err != nil {
		t.Fatal(err)
	}
	swap.restore(restored)
	eventually(t, "the state does not follow the restored store", func() bool { _, ok := st.Settings.Get("other"); return ok })
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, ok := st.Sessions.Get("x"); ok {
		t.Error("a session is there that the store does not have")
	}
}

// swapStore is a store that is replaced by another one while it is open.
type swapStore struct {
	mu sync.Mutex
	store.Store
}

func (s *swapStore) now() store.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store
}

func (s *swapStore) restore(to store.Store) {
	s.mu.Lock()
	before := s.Store
	s.Store = to
	s.mu.Unlock()
	_ = before // its watchers are told by themselves: see Watch
}

func (s *swapStore) Load(ctx context.Context, realm string) ([]store.Document, store.Position, error) {
	return s.now().Load(ctx, realm)
}

func (s *swapStore) Apply(ctx context.Context, realm string, changes []store.Change, history ...store.Entry) (uint64, error) {
	return s.now().Apply(ctx, realm, changes, history...)
}

// Watch ends when the store is replaced, as a connection does.
func (s *swapStore) Watch(ctx context.Context, realm string, after store.Position, deliver func(store.Batch)) error {
	inner := s.now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	replaced := make(chan struct{})
	go func() {
		defer close(replaced)
		for s.now() == inner && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	err := inner.Watch(ctx, realm, after, deliver)
	cancel()
	if <-replaced; s.now() != inner {
		return store.ErrUnavailable
	}
	return err
}

// TestChangedAndDeletedAtOnce: whichever of a change and a deletion is first,
// what is in memory afterwards is in the store.
func TestChangedAndDeletedAtOnce(t *testing.T) {
	b, err := boltstore.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	st := open(t, b)
	const rounds, n = 5, 50
	for round := range rounds {
		commit(t, st, func(tx *state.Tx) {
			for i := range n {
				state.Put(tx, st.Sessions, fmt.Sprint(round, "-", i), newSession(), state.Absent)
			}
		})
		var both sync.WaitGroup
		for i := range n {
			id := fmt.Sprint(round, "-", i)
			item, _ := st.Sessions.Get(id)
			both.Go(func() {
				used := *item.Value
				used.Used = time.Now()
				var tx state.Tx
				state.Put(&tx, st.Sessions, id, &used, state.Unchanged(item))
				_ = st.Commit(context.Background(), &tx)
			})
			both.Go(func() {
				var tx state.Tx
				state.Delete(&tx, st.Sessions, id, store.Precondition{})
				if err := st.Commit(context.Background(), &tx); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	for item := range st.Sessions.All() {
		t.Errorf("session %s was ended and is there", item.ID)
	}
}

// TestRightSecretIsNeverRefused: a robot logs in while its description and its
// other secrets change.
func TestRightSecretIsNeverRefused(t *testing.T) {
	st := open(t, memstore.New())
	secret, hash := authn.NewSecret(authn.SecretRobot)
	commit(t, st, func(tx *state.Tx) {
		state.Put(tx, st.Robots, "ci", &state.Robot{Name: "ci", Secrets: []state.RobotSecret{{Hash: hash}}}, state.Absent)
		for i := range 2000 { // a piece of an index has some entries
			_, h := authn.NewSecret(authn.SecretRobot)
			n := fmt.Sprint("r", i)
			state.Put(tx, st.Robots, n, &state.Robot{Name: n, Secrets: []state.RobotSecret{{Hash: h}}}, state.Absent)
		}
	})
	robots, err := authn.NewRobots(nil, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	robots.Follow(st)
	stop := make(chan struct{})
	var logins, refused atomic.Int64
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				logins.Add(1)
				if _, err := robots.Authenticate(context.Background(), &authn.Credential{
					Scheme: authn.SchemeBasic, Username: "robot$ci", Secret: secret, Remote: netip.MustParseAddr("192.0.2.1"),
				}); err != nil {
					refused.Add(1)
				}
			}
		})
	}
	changes := 0
	for end := time.Now().Add(time.Second); time.Now().Before(end); changes++ {
		item, _ := st.Robots.Get("ci")
		next := *item.Value
		next.Description = fmt.Sprint(changes)
		_, other := authn.NewSecret(authn.SecretRobot)
		next.Secrets = []state.RobotSecret{{Hash: hash}, {Hash: other}}
		commit(t, st, func(tx *state.Tx) { state.Put(tx, st.Robots, "ci", &next, state.Unchanged(item)) })
	}
	close(stop)
	group.Wait()
	if refused.Load() > 0 {
		t.Errorf("the right secret was refused %d times of %d, in %d changes", refused.Load(), logins.Load(), changes)
	}
}
