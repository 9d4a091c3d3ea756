// Package state is what a realm knows that changes at run time: robots, access
// tokens, projects, role mappings, owners, users, sessions, revocations. All
// of it is in memory, where requests read it without a lock, and in a
// [store.Store], through which every gateway sees the changes of the others.
//
// A [Table] holds the records of one kind. Changes are made together in a
// [Tx]; each is an audit event as well. Indexes, such as robots by the id of
// a secret, are kept up to date by the tables they belong to.
package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Options configure a [State].
type Options struct {
	// Log gets what goes wrong in the background; nil for nowhere.
	Log *slog.Logger
	// OnEvent is called for every audit event of this process; it must not
	// block. May be nil.
	OnEvent func(Event)
	// KeepEvents is how long audit events are kept. Default: 90 days.
	KeepEvents time.Duration
	// Shared says that several gateways may have the store open.
	Shared bool
	// Now replaces the clock in tests.
	Now func() time.Time
}

// State is what is known of one realm.
type State struct {
	store   store.Store
	realm   string
	options Options

	tables map[string]table
	mu     sync.Mutex  // held while tables change
	filled atomic.Bool // what the store had at first is in the tables
	// deleted are documents whose deletion the store has not told yet.
	deleted []store.Document
	// histories counts how often the store has gone back, as after a restore.
	histories int
	unmarked  bool // the store went back and does not say so yet; only follow uses it
	loaded    atomic.Pointer[loaded]
	mark      atomic.Int64   // of the history: see followHistory
	seen      atomic.Uint64  // sequence number up to which the store has told
	at        store.Position // the same with its mark; only follow uses it
	changed   atomic.Int64   // when that was, in Unix nanoseconds
	health    atomic.Pointer[Health]
	refused   atomic.Pointer[refusal]
	// maxStale is how long what is known is good without the store.
	maxStale atomic.Int64
	// listeners are what OnPolicy and OnSigningKeys were given.
	listeners, keyListeners sync.Map
	cancel                  context.CancelFunc
	done                    sync.WaitGroup

	Robots         *Table[Robot]
	Tokens         *Table[Token]
	IdentityTokens *Table[IdentityToken]
	DeviceLogins   *Table[DeviceLogin]
	Sessions       *Table[Session]
	Confirmations  *Table[Confirmation]
	APIKeys        *Table[APIKey]
	RoleMappings   *Table[RoleMapping]
	Projects       *Table[Project]
	Owners         *Table[Owner]
	Users          *Table[User]
	Revocations    *Table[Revocation]
	Settings       *Table[Setting]
	Usage          *Table[Usage]
	Once           *Table[Once]
	Bootstraps     *Table[Bootstrap]
	Guards         *Table[Guard]
	SpentOnce      *Table[Spent]
	Tallies        *Table[Tally]

	leases   *Table[leaseRecord]
	keyrings *Table[keyringRecord]
	seals    *Table[sealRecord]

	robots       robotIndex
	owners       ownerIndex
	userNames    userNames
	restrictions restrictions
	usage        usageWriter
	rivals       rivals
	unsure       unsure
	tallies      tallies
	sightings    chan *authn.Principal
}

// Open reads everything that the store has of a realm. The state follows the
// store until Close.
func Open(ctx context.Context, s store.Store, realm string, o Options) (*State, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.KeepEvents == 0 {
		o.KeepEvents = 90 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	st := &State{
		store: s, realm: realm, options: o, tables: map[string]table{},
		sightings: make(chan *authn.Principal, maxSightings),
	}
	st.Robots = newTable[Robot](st, "robot")
	st.Tokens = newTable[Token](st, "token")
	st.IdentityTokens = newTable[IdentityToken](st, "identity_token")
	st.DeviceLogins = newTable[DeviceLogin](st, "device_login")
	st.Sessions = newTable[Session](st, "session")
	st.Confirmations = newTable[Confirmation](st, "confirmation")
	st.APIKeys = newTable[APIKey](st, "api_key")
	st.RoleMappings = newTable[RoleMapping](st, "role_mapping")
	st.Projects = newTable[Project](st, "project")
	st.Owners = newTable[Owner](st, "owner")
	st.Users = newTable[User](st, "user")
	st.Revocations = newTable[Revocation](st, "revocation")
	st.Settings = newTable[Setting](st, "setting")
	st.Usage = newTable[Usage](st, "usage")
	st.robots.follow(st.Robots, &st.filled)
	st.owners.follow(st.Owners, &st.filled)
	st.userNames.follow(st.Users, &st.filled)
	st.Once = newTable[Once](st, "once")
	st.Bootstraps = newTable[Bootstrap](st, "bootstrap")
	st.Guards = newTable[Guard](st, "guard")
	st.SpentOnce = newTable[Spent](st, "spent")
	st.Tallies = newTable[Tally](st, "tally")
	if o.Shared {
		st.tallies.gateway = rand.Text()[:10]
	}
	st.tallies.follow(st.Tallies)
	st.leases = newTable[leaseRecord](st, "lease")
	st.rivals.follow(st.leases)
	st.keyrings = newTable[keyringRecord](st, "keyring")
	st.seals = newTable[sealRecord](st, "seal")
	st.restrictions.follow(st)
	st.usage.start(st)
	if err := st.load(ctx, false); err != nil {
		return nil, err
	}
	st.filled.Store(true)
	if st.Robots.items.len() > manyRobots {
		// What reading them has left behind is as large as they are.
		go debug.FreeOSMemory()
	}
	st.followPolicy()
	st.health.Store(&Health{Ready: true, Since: o.Now()})
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	st.cancel = cancel
	st.done.Go(func() { st.follow(run) })
	st.done.Go(func() { st.usage.run(run) })
	st.done.Go(func() { st.watchSightings(run) })
	st.done.Go(func() { st.tidy(run) })
	if o.Shared {
		st.done.Go(func() { st.writeTallies(run) })
	}
	return st, nil
}

// manyRobots is from how many on it is worth to return memory after a start.
const manyRobots = 5000

// Close writes what is still to be written and stops following the store,
// which stays open.
func (s *State) Close() {
	s.cancel()
	s.done.Wait()
}

// Realm returns whose state this is.
func (s *State) Realm() string { return s.realm }

// Store returns where it is kept.
func (s *State) Store() store.Store { return s.store }

func (s *State) now() time.Time { return s.options.Now() }

// load replaces everything by what the store has. If the store was restored
// from a backup, that counts also where it is older.
func (s *State) load(ctx context.Context, restored bool) error {
	begun := s.now()
	documents, at, err := s.store.Load(ctx, s.realm)
	if err != nil {
		return fmt.Errorf("loading the state of realm %q: %w", s.realm, err)
	}
	sequence := at.Sequence
	items, err := s.readAll(documents)
	if err != nil {
		return fmt.Errorf("loading the state of realm %q: %w", s.realm, err)
	}
	there := make(map[store.Key]bool, len(documents))
	s.loaded.Store(&loaded{begun, sequence})
	s.mu.Lock()
	if restored = restored || sequence < s.seen.Load(); restored {
		s.options.Log.Warn("the store has another history than before, as after a restore: what it has now counts, also where something was revoked since", "realm", s.realm, "from", s.seen.Load(), "to", sequence)
		for _, d := range s.deleted {
			s.tables[d.Kind].forget(d.ID, d.Revision)
		}
		s.deleted = nil
		s.histories++
		s.unmarked = true
	}
	for i, d := range documents {
		there[d.Key] = true
		if items[i] != nil {
			s.tables[d.Kind].take(items[i], restored)
		}
	}
	s.mu.Unlock()
	gone := store.Batch{Sequence: sequence}
	for kind, t := range s.tables {
		for _, id := range t.ids() {
			if key := (store.Key{Kind: kind, ID: id}); !there[key] {
				gone.Documents = append(gone.Documents, store.Document{Key: key, Revision: sequence})
			}
		}
	}
	s.told(gone, restored)
	s.at = at
	return nil
}

// readAll decodes documents on all processors; those of somebody else, such as
// signing keys, are nil.
func (s *State) readAll(documents []store.Document) ([]any, error) {
	items := make([]any, len(documents))
	var group errgroup.Group
	const part = 1024
	for from := 0; from < len(documents); from += part {
		group.Go(func() (err error) {
			for i := from; i < min(from+part, len(documents)); i++ {
				if t, ok := s.tables[documents[i].Kind]; ok {
					if items[i], err = t.read(documents[i]); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	return items, group.Wait()
}

// history returns which history of the store this process follows.
func (s *State) history() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.histories
}

// committed brings the tables up to a change of this process, ahead of the
// store, which tells of it in a moment. Where the store has told already, it may
// have told of what came after, such as a deletion that is forgotten by now:
// nothing is put back then. The same holds if the store has gone back since the
// change began.
func (s *State) committed(b store.Batch, history int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Sequence > s.seen.Load() && history == s.histories {
		s.take(b, false)
	}
}

// told brings the tables up to a batch that the store has told of, in the order
// of things. Restored says that it counts although newer things are known.
func (s *State) told(b store.Batch, restored bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(b, restored)
	if s.seen.Swap(b.Sequence) != b.Sequence || s.changed.Load() == 0 {
		s.changed.Store(s.now().UnixNano())
	}
	s.followHistory()
	keep := s.deleted[:0]
	for _, d := range s.deleted {
		if d.Revision > b.Sequence {
			keep = append(keep, d)
			continue
		}
		s.tables[d.Kind].forget(d.ID, b.Sequence)
	}
	s.deleted = keep
}

// take changes the tables; s.mu is held.
func (s *State) take(b store.Batch, restored bool) {
	for _, d := range b.Documents {
		t, ok := s.tables[d.Kind]
		if !ok {
			continue
		}
		item, err := t.read(d)
		if err != nil {
			s.options.Log.Error("a stored record cannot be used and counts as deleted", "realm", s.realm, "error", err)
		}
		t.take(item, restored)
		if d.Data == nil {
			s.deleted = append(s.deleted, d)
		}
	}
}

// follow takes the store's changes as they come, until it is closed.
func (s *State) follow(ctx context.Context) {
	const shortest, longest = 50 * time.Millisecond, time.Second
	wait := shortest
	for ctx.Err() == nil {
		start := time.Now()
		s.markHistory(ctx)
		err := s.store.Watch(ctx, s.realm, s.at, func(b store.Batch) {
			s.recovered()
			s.told(b, false)
			s.at = b.Position()
		})
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) || err == nil {
			return
		}
		if errors.Is(err, store.ErrGone) {
			if err = s.load(ctx, errors.Is(err, store.ErrRestored)); err == nil {
				continue
			}
		}
		s.failed(err)
		if time.Since(start) > longest {
			wait = shortest
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, longest)
	}
}

// OnPolicy calls f from now on, until cancel is called, when a record changes
// that rules are made of: projects, role mappings, settings. f must not block.
func (s *State) OnPolicy(f func()) (cancel func()) {
	id := new(int)
	s.listeners.Store(id, f)
	return func() { s.listeners.Delete(id) }
}

// OnSigningKeys calls f from now on, until cancel is called, when the stored
// signing keys have changed, also by another gateway. f must not block.
func (s *State) OnSigningKeys(f func()) (cancel func()) {
	id := new(int)
	s.keyListeners.Store(id, f)
	return func() { s.keyListeners.Delete(id) }
}

func (s *State) policyChanged() { call(&s.listeners) }

func call(listeners *sync.Map) {
	listeners.Range(func(_, f any) bool {
		if f, ok := f.(func()); ok {
			f()
		}
		return true
	})
}

// followPolicy watches what rules are made of, and the signing keys.
func (s *State) followPolicy() {
	s.keyrings.onChange(func(_, _ *Item[keyringRecord]) { call(&s.keyListeners) })
	s.Projects.onChange(func(_, _ *Item[Project]) { s.policyChanged() })
	s.RoleMappings.onChange(func(_, _ *Item[RoleMapping]) { s.policyChanged() })
	s.Settings.onChange(func(_, _ *Item[Setting]) { s.policyChanged() })
}

var (
	_ authn.RobotDirectory  = (*State)(nil)
	_ authn.SecretDirectory = (*State)(nil)
	_ authz.Facts           = (*State)(nil)
)
