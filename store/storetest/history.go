package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// appendEntries appends entries 0 to n-1, the higher the later, in no order,
// and returns their ids by number.
func appendEntries(t *testing.T, s store.Store, n int) []string {
	t.Helper()
	ids := make([]string, n)
	entries := make([]store.Entry, n)
	for i := range ids {
		ids[i] = store.EntryID(time.Date(2026, 1, 2, 3, 4, i/2, 0, time.UTC), string(rune('A'+i%2*('b'-'A')))+fmt.Sprint(i))
		entries[i] = store.Entry{ID: ids[i], Data: fmt.Append(nil, i)}
	}
	slices.Reverse(entries[:n/2])
	for page := range slices.Chunk(entries, 7) {
		if _, err := s.Apply(t.Context(), realm, nil, page...); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

func historyOf(t *testing.T, s store.Store, before string, limit int) (data []string) {
	t.Helper()
	entries, err := s.History(t.Context(), realm, before, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data = append(data, string(e.Data))
	}
	return data
}

func wantHistory(t *testing.T, s store.Store, before string, limit int, want ...string) {
	t.Helper()
	if got := historyOf(t, s, before, limit); !slices.Equal(got, want) {
		t.Errorf("before %q, %d at most: %v, want %v", before, limit, got, want)
	}
}

func testHistory(t *testing.T, p Place) {
	s := p.open(t)
	wantHistory(t, s, "", 10)
	wantHistory(t, s, "x", 10)
	ids := appendEntries(t, s, 20)
	wantHistory(t, s, "", 3, "19", "18", "17")
	wantHistory(t, s, ids[17], 3, "16", "15", "14")
	wantHistory(t, s, ids[2], 3, "1", "0")
	wantHistory(t, s, ids[0], 3)
	wantHistory(t, s, "", 0)
	wantHistory(t, s, "", -1)
	wantHistory(t, s, "9", 2, "19", "18") // later than all
	wantHistory(t, s, ids[4]+"~", 2, "4", "3")
	if got := historyOf(t, s, "", 1000); len(got) != 20 {
		t.Errorf("%d entries", len(got))
	}
	if _, n, err := s.Load(t.Context(), realm); err != nil || n != 0 {
		t.Errorf("history took numbers: %d %v", n, err)
	}
}

// testHistoryAgain has a caller try again whose acknowledgement was lost.
func testHistoryAgain(t *testing.T, p Place) {
	s := p.open(t)
	for range 2 {
		if _, err := s.Apply(t.Context(), realm, []store.Change{put("robot", "a", "1")}, store.Entry{ID: "1", Data: []byte("first")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Apply(t.Context(), realm, nil, store.Entry{ID: "1", Data: []byte("other")}, store.Entry{ID: "2", Data: []byte("second")}); err != nil {
		t.Fatal(err)
	}
	wantHistory(t, s, "", 10, "second", "first")
}

func testHistoryTrimmed(t *testing.T, p Place) {
	s := p.open(t)
	if err := s.Trim(t.Context(), realm, "9"); err != nil {
		t.Fatal(err)
	}
	ids := appendEntries(t, s, 20)
	for _, tt := range []struct {
		before string
		left   int
	}{{"", 20}, {ids[0], 20}, {ids[5], 15}, {ids[18], 2}, {"9", 0}} {
		if err := s.Trim(t.Context(), realm, tt.before); err != nil {
			t.Fatal(err)
		}
		if got := historyOf(t, s, "", 100); len(got) != tt.left {
			t.Errorf("before %q: %v, want %d", tt.before, got, tt.left)
		}
	}
}
