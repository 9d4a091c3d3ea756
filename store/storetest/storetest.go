// Package storetest is the suite that every [store.Store] passes.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Place is where the documents of one test are, at first none.
type Place struct {
	// Open opens the store.
	Open func() (store.Store, error)
	// Lasting: what was written is found after Close and Open.
	Lasting bool
	// Shared: several stores of the place may be open at once.
	Shared bool
	// Age makes what a store knows of deletions older.
	Age func(t *testing.T, s store.Store, by time.Duration)
	// Save makes a copy of what the store has, and returns what puts it back. A
	// store of which only one may be open is closed then.
	Save func(t *testing.T, s store.Store) (restore func())
}

// open opens the store for the duration of the test.
func (p Place) open(t testing.TB) store.Store {
	t.Helper()
	s, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Run runs the suite, each test in a place of its own.
func Run(t *testing.T, place func(t *testing.T) Place) {
	tests := []struct {
		name string
		run  func(t *testing.T, p Place)
	}{
		{"load", testLoad},
		{"preconditions", testPreconditions},
		{"atomic", testAtomic},
		{"revisions", testRevisions},
		{"ids", testIDs},
		{"limits", testLimits},
		{"realms", testRealms},
		{"lasting", testLasting},
		{"large", testLarge},
		{"concurrent", testConcurrent},
		{"one winner", testOneWinner},
		{"contexts", testContexts},
		{"closed", testClosed},
		{"history", testHistory},
		{"history again", testHistoryAgain},
		{"history trimmed", testHistoryTrimmed},
		{"watch", testWatch},
		{"watch begins", testWatchBegins},
		{"watch from before", testWatchFromBefore},
		{"watch deletions", testWatchDeletions},
		{"watch order", testWatchOrder},
		{"watch whole", testWatchWhole},
		{"watch realms", testWatchRealms},
		{"watch ends", testWatchEnds},
		{"gone", testGone},
		{"gone after a restore", testGoneAfterRestore},
		{"another history", testAnotherHistory},
		{"others", testOthers},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, place(t)) })
	}
}

const realm = "default"

// put is a change without a condition.
func put(kind, id, data string) store.Change {
	return store.Change{Key: store.Key{Kind: kind, ID: id}, Data: []byte(data)}
}

func remove(kind, id string) store.Change {
	return store.Change{Key: store.Key{Kind: kind, ID: id}}
}

func apply(t testing.TB, s store.Store, changes ...store.Change) uint64 {
	t.Helper()
	sequence, err := s.Apply(t.Context(), realm, changes)
	if err != nil {
		t.Fatal(err)
	}
	return sequence
}

// contents are what Load finds, by "kind id": "revision data".
func contents(t testing.TB, s store.Store, realm string) (found map[string]string, sequence uint64) {
	t.Helper()
	documents, at, err := s.Load(t.Context(), realm)
	if err != nil {
		t.Fatal(err)
	}
	found = map[string]string{}
	for _, d := range documents {
		name := d.Kind + " " + d.ID
		if _, twice := found[name]; twice {
			t.Errorf("%s: loaded twice", name)
		}
		if d.Data == nil {
			t.Errorf("%s: loaded without data", name)
		}
		found[name] = fmt.Sprintf("%d %s", d.Revision, d.Data)
	}
	return found, at.Sequence
}

// wantContents compares what is stored.
func wantContents(t testing.TB, s store.Store, sequence uint64, want map[string]string) {
	t.Helper()
	got, at := contents(t, s, realm)
	if at != sequence {
		t.Errorf("sequence %d, want %d", at, sequence)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("contents\n got %v\nwant %v", got, want)
	}
}

func wantError(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, want %v", got, want)
	}
}

// watcher collects what a Watch delivers.
type watcher struct {
	end  context.CancelFunc
	done chan error

	mu       sync.Mutex
	batches  []store.Batch
	state    map[string]string
	sequence uint64
	changed  chan struct{}
}

// at is a position of which only the number is known.
func at(sequence uint64) store.Position { return store.Position{Sequence: sequence} }

func watch(t testing.TB, s store.Store, realm string, after uint64) *watcher {
	ctx, end := context.WithCancel(t.Context())
	w := &watcher{end: end, done: make(chan error, 1), state: map[string]string{}, sequence: after, changed: make(chan struct{}, 1)}
	go func() { w.done <- s.Watch(ctx, realm, at(after), w.deliver) }()
	t.Cleanup(end)
	return w
}

func (w *watcher) deliver(b store.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batches = append(w.batches, b)
	for _, d := range b.Documents {
		if d.Data == nil {
			delete(w.state, d.Kind+" "+d.ID)
			continue
		}
		w.state[d.Kind+" "+d.ID] = fmt.Sprintf("%d %s", d.Revision, d.Data)
	}
	w.sequence = b.Sequence
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// wait waits for a sequence number and returns the state then.
func (w *watcher) wait(t testing.TB, sequence uint64, limit time.Duration) map[string]string {
	t.Helper()
	timeout := time.After(limit)
	for {
		w.mu.Lock()
		if w.sequence >= sequence {
			defer w.mu.Unlock()
			return w.state
		}
		at := w.sequence
		w.mu.Unlock()
		select {
		case <-w.changed:
		case err := <-w.done:
			t.Fatalf("watch ended: %v", err)
		case <-timeout:
			t.Fatalf("still at %d after %v, want %d", at, limit, sequence)
		}
	}
}

// second is what the contract gives a change to arrive, and a busy test
// machine a little on top.
const second = 1500 * time.Millisecond

// WriteSample writes what the stored samples of each format hold.
func WriteSample(t *testing.T, s store.Store) {
	apply(t, s, put("robot", "ci", `{"format":1,"name":"ci"}`), put("robot", "gone", "x"), put("token", "ä 🚀", "\x00\xff"))
	apply(t, s, remove("robot", "gone"), put("key", "empty", ""))
	for i := range 3 {
		e := store.Entry{ID: store.EntryID(time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC), "a"), Data: fmt.Append(nil, i)}
		if _, err := s.Apply(t.Context(), realm, nil, e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Apply(t.Context(), "other", []store.Change{put("robot", "ci", "other")}); err != nil {
		t.Fatal(err)
	}
}

// WantSample wants what WriteSample wrote, and that work can go on.
func WantSample(t *testing.T, s store.Store) {
	t.Helper()
	wantContents(t, s, 2, map[string]string{"robot ci": `1 {"format":1,"name":"ci"}`, "token ä 🚀": "1 \x00\xff", "key empty": "2 "})
	wantHistory(t, s, "", 10, "2", "1", "0")
	if got, n := contents(t, s, "other"); n != 1 || got["robot ci"] != "1 other" {
		t.Errorf("other realm: %v", got)
	}
	w := watch(t, s, realm, 1)
	w.wait(t, 2, second)
	if n := apply(t, s, put("robot", "gone", "again")); n != 3 {
		t.Errorf("went on with %d", n)
	}
	if state := w.wait(t, 3, second); state["robot gone"] != "3 again" {
		t.Errorf("watched %v", state)
	}
}
