package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

func testLoad(t *testing.T, p Place) {
	s := p.open(t)
	wantContents(t, s, 0, map[string]string{})
	first := apply(t, s, put("robot", "a", "1"), put("token", "a", "2"), put("robot", "empty", ""))
	second := apply(t, s, put("robot", "a", "3"), remove("token", "a"))
	if first == 0 || second <= first {
		t.Errorf("sequences %d, %d", first, second)
	}
	wantContents(t, s, second, map[string]string{"robot a": fmt.Sprintf("%d 3", second), "robot empty": fmt.Sprintf("%d ", first)})
	if again := apply(t, s, remove("robot", "never")); again != second {
		t.Errorf("a change of nothing has number %d, want %d", again, second)
	}
	if again := apply(t, s); again != second {
		t.Errorf("no change has number %d, want %d", again, second)
	}
}

func testPreconditions(t *testing.T, p Place) {
	s := p.open(t)
	first := apply(t, s, put("robot", "here", "1"), put("robot", "deleted", "1"))
	second := apply(t, s, remove("robot", "deleted"))
	other := first + 1000
	tests := []struct {
		name     string
		id       string
		data     []byte
		keep     bool
		if_      store.Precondition
		conflict bool
		revision uint64 // that the conflict names
	}{
		{"absent, there", "here", []byte("2"), false, store.Precondition{Absent: true}, true, first},
		{"revision, another", "here", []byte("2"), false, store.Precondition{Revision: other}, true, first},
		{"revision, none", "never", []byte("2"), false, store.Precondition{Revision: first}, true, 0},
		{"revision, deleted", "deleted", []byte("2"), false, store.Precondition{Revision: second}, true, 0},
		{"revision before the deletion", "deleted", []byte("2"), false, store.Precondition{Revision: first}, true, 0},
		{"both", "here", []byte("2"), false, store.Precondition{Absent: true, Revision: first}, true, first},
		{"delete, another revision", "here", nil, false, store.Precondition{Revision: other}, true, first},
		{"delete, none", "never", nil, false, store.Precondition{Revision: first}, true, 0},
		{"delete, absent, there", "here", nil, false, store.Precondition{Absent: true}, true, first},
		{"delete, absent", "never", nil, false, store.Precondition{Absent: true}, false, 0},
		{"keep, another revision", "here", nil, true, store.Precondition{Revision: other}, true, first},
		{"keep, deleted", "deleted", nil, true, store.Precondition{Revision: first}, true, 0},
		{"keep, absent, there", "here", []byte("2"), true, store.Precondition{Absent: true}, true, first},
		{"keep", "here", []byte("2"), true, store.Precondition{Revision: first}, false, 0},
		{"keep, absent", "deleted", nil, true, store.Precondition{Absent: true}, false, 0},
		{"absent after deletion", "deleted", []byte("2"), false, store.Precondition{Absent: true}, false, 0},
		{"absent", "new", []byte("2"), false, store.Precondition{Absent: true}, false, 0},
		{"revision", "here", []byte("2"), false, store.Precondition{Revision: first}, false, 0},
		{"revision, once only", "here", []byte("2"), false, store.Precondition{Revision: first}, true, second + 3},
		{"delete, revision", "here", nil, false, store.Precondition{Revision: second + 3}, false, 0},
	}
	for _, tt := range tests {
		_, err := s.Apply(t.Context(), realm, []store.Change{{Key: store.Key{Kind: "robot", ID: tt.id}, Data: tt.data, Keep: tt.keep, If: tt.if_}})
		if !tt.conflict {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		wantError(t, err, store.ErrConflict)
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.ID != tt.id || conflict.Kind != "robot" || conflict.Revision != tt.revision {
			t.Errorf("%s: %v, want revision %d", tt.name, err, tt.revision)
		}
	}
}

func testAtomic(t *testing.T, p Place) {
	s := p.open(t)
	first := apply(t, s, put("robot", "a", "1"), put("robot", "b", "1"))
	absent := put("robot", "b", "2")
	absent.If.Absent = true
	_, err := s.Apply(t.Context(), realm, []store.Change{put("robot", "a", "2"), remove("robot", "c"), put("robot", "d", "2"), absent},
		store.Entry{ID: "1", Data: []byte("x")})
	wantError(t, err, store.ErrConflict)
	wantContents(t, s, first, map[string]string{"robot a": fmt.Sprintf("%d 1", first), "robot b": fmt.Sprintf("%d 1", first)})
	if h, err := s.History(t.Context(), realm, "", 10); err != nil || len(h) != 0 {
		t.Errorf("history %v %v", h, err)
	}
	if next := apply(t, s, put("robot", "a", "3")); next != first+1 {
		t.Errorf("the conflict took a number: %d after %d", next, first)
	}
}

func testRevisions(t *testing.T, p Place) {
	s := p.open(t)
	last := uint64(0)
	for i := range 20 {
		change := put("robot", "a", "x")
		if i%3 == 2 {
			change = remove("robot", "a")
		}
		next := apply(t, s, change)
		if next != last+1 {
			t.Fatalf("number %d after %d", next, last)
		}
		last = next
	}
	if p.Lasting {
		s.Close()
		s = p.open(t)
		if next := apply(t, s, put("robot", "a", "y")); next != last+1 {
			t.Errorf("number %d after %d and opening again", next, last)
		}
	}
}

func testIDs(t *testing.T, p Place) {
	s := p.open(t)
	ids := []string{
		" ", "a b", "A", "a", "ä", "a\u0308", "日本語", "🚀", "%", "_", "'", `"`, `\`, `\x00`, "\n", "\t\r", "\u0001", "\x7f",
		"robot$team+ci", "a/b", "a//b", "../..", "{}", "$1", "NULL", "a\u200b", "\ufffd", "\U0010ffff", strings.Repeat("é", 256),
	}
	want := map[string]string{}
	for _, id := range ids {
		n := apply(t, s, put("robot", id, id), put("robot2", id, "2"))
		want["robot "+id], want["robot2 "+id] = fmt.Sprintf("%d %s", n, id), fmt.Sprintf("%d 2", n)
	}
	binary := "\x00\xff\x01"
	n := apply(t, s, put("k_9", "binary", binary))
	want["k_9 binary"] = fmt.Sprintf("%d %s", n, binary)
	wantContents(t, s, n, want)
	for _, id := range ids {
		n = apply(t, s, remove("robot", id))
		delete(want, "robot "+id)
	}
	wantContents(t, s, n, want)
}

func testLimits(t *testing.T, p Place) {
	s := p.open(t)
	large := strings.Repeat("x", store.MaxDocument)
	n := apply(t, s, put("robot", "large", large))
	for name, changes := range map[string][]store.Change{
		"document":     {put("robot", "a", large+"x")},
		"id":           {put("robot", strings.Repeat("x", 513), "")},
		"empty id":     {put("robot", "", "")},
		"NUL":          {put("robot", "a\x00b", "")},
		"not UTF-8":    {put("robot", "a\xffb", "")},
		"empty kind":   {put("", "a", "")},
		"kind":         {put("Robot", "a", "")},
		"kind and NUL": {put("ro\x00bot", "a", "")},
		"twice":        {put("robot", "a", "1"), remove("robot", "a")},
		"second":       {put("robot", "a", "1"), put("robot", "", "")},
	} {
		if _, err := s.Apply(t.Context(), realm, changes); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, e := range []store.Entry{{ID: ""}, {ID: strings.Repeat("x", 513)}, {ID: "a\x00"}, {ID: "a", Data: []byte(large + "x")}} {
		if _, err := s.Apply(t.Context(), realm, nil, e); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("entry: %v", err)
		}
	}
	for _, bad := range []string{"", "a\x00", "\xff", strings.Repeat("x", 256)} {
		_, _, err := s.Load(t.Context(), bad)
		wantError(t, err, store.ErrTooLarge)
		_, err = s.Apply(t.Context(), bad, nil)
		wantError(t, err, store.ErrTooLarge)
		wantError(t, s.Watch(t.Context(), bad, at(0), func(store.Batch) {}), store.ErrTooLarge)
		_, err = s.History(t.Context(), bad, "", 1)
		wantError(t, err, store.ErrTooLarge)
		wantError(t, s.Trim(t.Context(), bad, ""), store.ErrTooLarge)
	}
	wantContents(t, s, n, map[string]string{"robot large": fmt.Sprintf("%d %s", n, large)})
}

func testRealms(t *testing.T, p Place) {
	s := p.open(t)
	n := apply(t, s, put("robot", "a", "1"), put("robot", "b", "1"))
	for _, other := range []string{"Default", "default ", "défaut"} {
		if _, err := s.Apply(t.Context(), other, []store.Change{put("robot", "a", other)}, store.Entry{ID: "1", Data: []byte(other)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Trim(t.Context(), other, "2"); err != nil {
			t.Fatal(err)
		}
		got, sequence := contents(t, s, other)
		if sequence != 1 || len(got) != 1 || got["robot a"] != "1 "+other {
			t.Errorf("%q: %v", other, got)
		}
	}
	wantContents(t, s, n, map[string]string{"robot a": "1 1", "robot b": "1 1"})
}

func testLasting(t *testing.T, p Place) {
	if !p.Lasting {
		return
	}
	s := p.open(t)
	n, err := s.Apply(t.Context(), realm, []store.Change{put("robot", "a", "1"), put("robot", "b", "1")}, store.Entry{ID: "1", Data: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	n = max(n, apply(t, s, remove("robot", "b")))
	for range 3 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = p.open(t)
		wantContents(t, s, n, map[string]string{"robot a": "1 1"})
		if h, err := s.History(t.Context(), realm, "", 10); err != nil || len(h) != 1 || string(h[0].Data) != "x" {
			t.Errorf("history %v %v", h, err)
		}
	}
}

// testLarge has one Apply that is as large as an import.
func testLarge(t *testing.T, p Place) {
	s := p.open(t)
	changes := make([]store.Change, 20_000)
	for i := range changes {
		changes[i] = put("robot", fmt.Sprint(i), `{"name":"robot"}`)
	}
	n := apply(t, s, changes...)
	if got, at := contents(t, s, realm); len(got) != len(changes) || at != n {
		t.Errorf("%d documents at %d, want %d at %d", len(got), at, len(changes), n)
	}
}

// testConcurrent has many callers who each read, change and write one counter.
func testConcurrent(t *testing.T, p Place) {
	s := p.open(t)
	const callers, times = 16, 12
	apply(t, s, put("counter", "all", ""))
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for j := range times {
				if err := increment(t.Context(), s, fmt.Sprintf("%d-%d", i, j)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	got, n := contents(t, s, realm)
	if _, data, _ := strings.Cut(got["counter all"], " "); len(data) != callers*times || len(got) != callers*times+1 || n != callers*times+1 {
		t.Errorf("counted %d, %d documents, sequence %d; want %d", len(data), len(got), n, callers*times)
	}
	if h, err := s.History(t.Context(), realm, "", 1000); err != nil || len(h) != callers*times {
		t.Errorf("%d entries, %v", len(h), err)
	}
}

// increment makes the counter one byte longer, and a document that says so.
func increment(ctx context.Context, s store.Store, id string) error {
	for {
		documents, _, err := s.Load(ctx, realm)
		if err != nil {
			return err
		}
		for _, d := range documents {
			if d.Kind != "counter" {
				continue
			}
			next := store.Change{Key: d.Key, Data: append([]byte("x"), d.Data...), If: store.Precondition{Revision: d.Revision}}
			_, err = s.Apply(ctx, realm, []store.Change{next, put("done", id, "")}, store.Entry{ID: id})
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// testOneWinner has fifty callers who all want to be the first.
func testOneWinner(t *testing.T, p Place) {
	stores := []store.Store{p.open(t)}
	if p.Shared {
		stores = append(stores, p.open(t))
	}
	var all sync.WaitGroup
	won := make(chan int, 50)
	for i := range 50 {
		all.Go(func() {
			change := put("bootstrap", "done", fmt.Sprint(i))
			change.If.Absent = true
			_, err := stores[i%len(stores)].Apply(t.Context(), realm, []store.Change{change})
			switch {
			case err == nil:
				won <- i
			case !errors.Is(err, store.ErrConflict):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d winners", len(won))
	}
	wantContents(t, stores[0], 1, map[string]string{"bootstrap done": fmt.Sprintf("1 %d", <-won)})
}

func testContexts(t *testing.T, p Place) {
	s := p.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Apply(ctx, realm, []store.Change{put("robot", "a", "1")}); err != nil {
		wantError(t, err, store.ErrUnavailable)
		wantError(t, err, context.Canceled)
		if errors.Is(err, store.ErrUnknown) {
			t.Errorf("it was over before it began, and nobody knows: %v", err)
		}
		wantContents(t, s, 0, map[string]string{})
	}
	apply(t, s, put("robot", "b", "1")) // and goes on
	testAnswers(t, s)
}

func testClosed(t *testing.T, p Place) {
	s := p.open(t)
	apply(t, s, put("robot", "a", "1"))
	w := watch(t, s, realm, 0)
	w.wait(t, 1, second)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-w.done; err != nil {
		t.Errorf("watch: %v", err)
	}
	_, _, err := s.Load(t.Context(), realm)
	wantError(t, err, store.ErrClosed)
	_, err = s.Apply(t.Context(), realm, []store.Change{put("robot", "a", "1")})
	wantError(t, err, store.ErrClosed)
	_, err = s.History(t.Context(), realm, "", 1)
	wantError(t, err, store.ErrClosed)
	wantError(t, s.Trim(t.Context(), realm, ""), store.ErrClosed)
}

// testAnswers has callers give up at all moments: what is told as made is there,
// what is told as not made is not, and of the rest it is said that nobody knows.
func testAnswers(t *testing.T, s store.Store) {
	made, refused := map[string]bool{}, map[string]bool{}
	for i := range 60 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*100*time.Microsecond)
		id := fmt.Sprintf("answer-%d", i)
		switch _, err := s.Apply(ctx, realm, []store.Change{put("robot", id, "1")}); {
		case err == nil:
			made[id] = true
		case errors.Is(err, store.ErrUnknown):
			wantError(t, err, store.ErrUnavailable)
		default:
			wantError(t, err, store.ErrUnavailable)
			refused[id] = true
		}
		cancel()
	}
	apply(t, s, put("robot", "last", "1")) // all before have come to an end
	found, _ := contents(t, s, realm)
	for id := range made {
		if _, there := found["robot "+id]; !there {
			t.Errorf("%s: told as made", id)
		}
	}
	for id := range refused {
		if _, there := found["robot "+id]; there {
			t.Errorf("%s: told as not made", id)
		}
	}
}
