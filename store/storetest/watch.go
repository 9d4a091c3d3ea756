package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

func testWatch(t *testing.T, p Place) {
	s := p.open(t)
	w := watch(t, s, realm, 0)
	for i := range 5 {
		n := apply(t, s, put("robot", "a", fmt.Sprint(i)))
		if state := w.wait(t, n, second); state["robot a"] != fmt.Sprintf("%d %d", n, i) {
			t.Errorf("state %v", state)
		}
	}
	w.end()
	if err := <-w.done; err != nil {
		t.Errorf("ended: %v", err)
	}
}

func testWatchFromBefore(t *testing.T, p Place) {
	s := p.open(t)
	first := apply(t, s, put("robot", "a", "1"), put("robot", "b", "1"))
	apply(t, s, put("robot", "c", "2"))
	last := apply(t, s, put("robot", "b", "3"))
	w := watch(t, s, realm, first)
	state := w.wait(t, last, second)
	if want := map[string]string{"robot b": "3 3", "robot c": "2 2"}; fmt.Sprint(state) != fmt.Sprint(want) {
		t.Errorf("state %v, want %v", state, want)
	}
	w = watch(t, s, realm, last)
	time.Sleep(50 * time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.batches {
		if len(b.Documents) != 0 || b.Sequence != last {
			t.Errorf("delivered %v", b)
		}
	}
}

// testWatchBegins wants one batch at once, though nothing has changed.
func testWatchBegins(t *testing.T, p Place) {
	s := p.open(t)
	for after := range uint64(3) {
		ctx, end := context.WithTimeout(t.Context(), second)
		var batches []store.Batch
		err := s.Watch(ctx, realm, at(after), func(b store.Batch) {
			batches = append(batches, b)
			end()
		})
		if err != nil || len(batches) != 1 || batches[0].Sequence != after || len(batches[0].Documents) != 0 {
			t.Errorf("after %d: %v, %v", after, batches, err)
		}
		apply(t, s, put("robot", "a", "1"))
	}
}

func testWatchDeletions(t *testing.T, p Place) {
	s := p.open(t)
	w := watch(t, s, realm, 0)
	w.wait(t, apply(t, s, put("robot", "a", "1"), put("robot", "b", "1"), put("robot", "empty", "")), second)
	n := apply(t, s, remove("robot", "a"))
	n = max(n, apply(t, s, remove("robot", "b"), put("robot", "c", "1")))
	n = max(n, apply(t, s, put("robot", "b", "2")))
	want, _ := contents(t, s, realm)
	if state := w.wait(t, n, second); fmt.Sprint(state) != fmt.Sprint(want) {
		t.Errorf("state %v, want %v", state, want)
	}
	// Whoever was away hears of it, too.
	late := watch(t, s, realm, 1)
	late.wait(t, n, second)
	var deleted []string
	for _, b := range late.batches {
		for _, d := range b.Documents {
			if d.Data == nil {
				deleted = append(deleted, d.ID)
			}
		}
	}
	if strings.Join(deleted, " ") != "a" {
		t.Errorf("deleted %v", deleted)
	}
}

// testWatchOrder wants batches and documents by their numbers, and after all
// what Load finds.
func testWatchOrder(t *testing.T, p Place) {
	s := p.open(t)
	w := watch(t, s, realm, 0)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 20 {
				change := put("robot", fmt.Sprint(j%5), fmt.Sprint(i, j))
				if j%7 == 6 {
					change = remove("robot", fmt.Sprint(j%5))
				}
				if _, err := s.Apply(t.Context(), realm, []store.Change{change}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	want, n := contents(t, s, realm)
	if state := w.wait(t, n, second); fmt.Sprint(state) != fmt.Sprint(want) {
		t.Errorf("state %v, want %v", state, want)
	}
	last := uint64(0)
	for _, b := range w.batches {
		from := last
		for _, d := range b.Documents {
			if d.Revision < last || d.Revision <= from || d.Revision > b.Sequence {
				t.Errorf("revision %d after %d, in a batch from %d to %d", d.Revision, last, from, b.Sequence)
			}
			last = d.Revision
		}
		if b.Sequence <= from && b.Sequence != 0 {
			t.Errorf("batch %d after %d", b.Sequence, from)
		}
		last = b.Sequence
	}
}

// testWatchWhole wants no part of an Apply to be delivered without the rest.
func testWatchWhole(t *testing.T, p Place) {
	s := p.open(t)
	w := watch(t, s, realm, 0)
	n := uint64(0)
	for i := range 50 {
		n = apply(t, s, put("robot", "a", fmt.Sprint(i)), put("token", "b", fmt.Sprint(i)))
	}
	w.wait(t, n, second)
	for _, b := range w.batches {
		if b.Sequence == 0 {
			continue // how it began
		}
		if len(b.Documents) != 2 || b.Documents[0].Revision != b.Documents[1].Revision || b.Documents[0].Revision != b.Sequence {
			t.Errorf("batch %+v", b)
		}
	}
}

func testWatchRealms(t *testing.T, p Place) {
	s := p.open(t)
	w, other := watch(t, s, realm, 0), watch(t, s, "other", 0)
	n := apply(t, s, put("robot", "a", "1"))
	w.wait(t, n, second)
	if _, err := s.Apply(t.Context(), "other", []store.Change{put("robot", "b", "2")}); err != nil {
		t.Fatal(err)
	}
	if state := other.wait(t, 1, second); fmt.Sprint(state) != "map[robot b:1 2]" {
		t.Errorf("other realm: %v", state)
	}
	if state := w.wait(t, 1, second); fmt.Sprint(state) != "map[robot a:1 1]" {
		t.Errorf("realm: %v", state)
	}
}

func testWatchEnds(t *testing.T, p Place) {
	s := p.open(t)
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := s.Watch(ctx, realm, at(0), func(store.Batch) {}); err != nil {
		t.Errorf("ended before: %v", err)
	}
	ctx, end = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	if err := s.Watch(ctx, realm, at(0), func(store.Batch) {}); err != nil {
		t.Errorf("timeout: %v", err)
	}
}

// testGone forgets deletions that somebody who was away has not heard of.
func testGone(t *testing.T, p Place) {
	s := p.open(t)
	apply(t, s, put("robot", "a", "1"), put("robot", "b", "1"))
	gone := apply(t, s, remove("robot", "a"))
	if err := s.Trim(t.Context(), realm, ""); err != nil {
		t.Fatal(err)
	}
	watch(t, s, realm, 1).wait(t, gone, second) // known: deleted just now
	p.Age(t, s, 2*time.Hour)
	n := apply(t, s, remove("robot", "b"), put("robot", "c", "1"))
	if err := s.Trim(t.Context(), realm, ""); err != nil {
		t.Fatal(err)
	}
	for _, after := range []uint64{0, gone - 1} {
		wantError(t, s.Watch(t.Context(), realm, at(after), func(b store.Batch) { t.Errorf("delivered %v", b) }), store.ErrGone)
	}
	if state := watch(t, s, realm, gone).wait(t, n, second); state["robot c"] == "" {
		t.Errorf("state %v", state)
	}
	wantContents(t, s, n, map[string]string{"robot c": fmt.Sprintf("%d 1", n)})
	if again := apply(t, s, put("robot", "a", "2")); again != n+1 {
		t.Errorf("made again with %d, want %d", again, n+1)
	}
}

// testGoneAfterRestore has a watcher who knows more than the store.
func testGoneAfterRestore(t *testing.T, p Place) {
	s := p.open(t)
	wantError(t, s.Watch(t.Context(), realm, at(1), func(store.Batch) {}), store.ErrGone)
	n := apply(t, s, put("robot", "a", "1"))
	wantError(t, s.Watch(t.Context(), realm, at(n+1), func(store.Batch) {}), store.ErrGone)
}

// testOthers has two stores see each other's changes.
func testOthers(t *testing.T, p Place) {
	if !p.Shared {
		return
	}
	a, b := p.open(t), p.open(t)
	wa, wb := watch(t, a, realm, 0), watch(t, b, realm, 0)
	for i := range 6 {
		s := a
		if i%2 == 1 {
			s = b
		}
		n := apply(t, s, put("robot", fmt.Sprint(i), "1"))
		wa.wait(t, n, second)
		wb.wait(t, n, second)
	}
	want, n := contents(t, a, realm)
	if got, at := contents(t, b, realm); at != n || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}
