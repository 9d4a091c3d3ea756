package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

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
