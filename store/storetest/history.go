package storetest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
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
	if _, at, err := s.Load(t.Context(), realm); err != nil || at.Sequence != 0 {
		t.Errorf("history took numbers: %d %v", at.Sequence, err)
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

// writerVariable tells a process that it is the one to be killed, and what its
// documents' ids start with.
const writerVariable = "STORETEST_WRITER"

// RunWriter writes to a store, with 16 callers, for as long as the process
// lives, and prints the id of each document that was acknowledged. It returns
// at once, unless this is a process that [Kill] has started: call it in
// TestMain, before anything else.
func RunWriter(open func() (store.Store, error)) {
	prefix := os.Getenv(writerVariable)
	if prefix == "" {
		return
	}
	s, err := open()
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for i := range 16 {
		go func() {
			for j := 0; ; j++ {
				id := fmt.Sprintf("%s-%d-%d", prefix, i, j)
				_, err := s.Apply(context.Background(), realm,
					[]store.Change{put("robot", id, id), put("token", id, id)}, store.Entry{ID: id, Data: []byte(id)})
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Println("made", id)
			}
		}()
	}
	select {}
}

// Kill starts this test's program again and again, has it write, kills it at a
// random moment, and looks for everything that was acknowledged.
func Kill(t *testing.T, rounds int, open func() (store.Store, error), environment ...string) {
	var made []string
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(append(os.Environ(), environment...), fmt.Sprintf("%s=%d", writerVariable, round))
		made = append(made, killed(t, cmd)...)
		wantMade(t, open, made)
		if t.Failed() {
			return
		}
	}
	if len(made) < 100*rounds {
		t.Errorf("%d writes were acknowledged in %d rounds: the moments are badly chosen", len(made), rounds)
	}
	t.Logf("killed %d times, all of %d acknowledged writes are there", rounds, len(made))
}

// killed runs a writer, kills it and returns what it has acknowledged.
func killed(t *testing.T, cmd *exec.Cmd) (made []string) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	after := 100 + rand.IntN(300)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		id, ok := strings.CutPrefix(lines.Text(), "made ")
		if !ok {
			t.Errorf("writer: %s", lines.Text())
			continue
		}
		if made = append(made, id); len(made) == after {
			time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait() // it was killed
	return made
}

// wantMade wants every write, as a whole.
func wantMade(t *testing.T, open func() (store.Store, error), made []string) {
	t.Helper()
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, _ := contents(t, s, realm)
	entries, err := s.History(t.Context(), realm, "", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	history := map[string]bool{}
	for _, e := range entries {
		history[e.ID] = true
	}
	for _, id := range made {
		if got["robot "+id] == "" || got["token "+id] == "" || !history[id] {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	for name, value := range got {
		_, id, _ := strings.Cut(name, " ")
		revision, data, _ := strings.Cut(value, " ")
		if data != id || got["robot "+id] != got["token "+id] || !history[id] {
			t.Errorf("%s, revision %s: only a part of it is there", name, revision)
		}
	}
}

// testAnotherHistory has a store restored from an older copy and written to
// until it has the numbers of before: a watcher who was away takes none of them
// for those that it knows.
func testAnotherHistory(t *testing.T, p Place) {
	if p.Save == nil {
		t.Skip("this place cannot be restored")
	}
	s := p.open(t)
	reopen := p.Lasting && !p.Shared // a file is restored while it is closed
	apply(t, s, put("robot", "a", "1"), put("robot", "b", "1"))
	_, common := position(t, s)
	if reopen {
		s.Close()
	}
	restore := p.Save(t, s)
	if reopen {
		s = p.open(t)
	}
	apply(t, s, remove("robot", "a"))
	apply(t, s, put("robot", "b", "2"))
	_, lost := position(t, s)
	if reopen {
		s.Close()
	}
	restore()
	if reopen {
		s = p.open(t)
	}
	watch(t, s, realm, common.Sequence).wait(t, common.Sequence, second)
	wantRestored := func() {
		t.Helper()
		err := s.Watch(t.Context(), realm, lost, func(b store.Batch) { t.Errorf("delivered %v", b) })
		wantError(t, err, store.ErrRestored)
		wantError(t, err, store.ErrGone)
	}
	for range 4 { // behind what is known, at the same number, and beyond it
		wantRestored()
		apply(t, s, put("robot", "c", "3"))
	}
	documents, at := position(t, s)
	if documents != 3 || at.Mark == 0 || at.Sequence != common.Sequence+4 {
		t.Errorf("%d documents at %v", documents, at)
	}
	for _, after := range []store.Position{common, at} { // of this history
		ctx, end := context.WithTimeout(t.Context(), second)
		err := s.Watch(ctx, realm, after, func(b store.Batch) {
			if b.Position() != at {
				t.Errorf("after %v: at %v, want %v", after, b.Position(), at)
			}
			end()
		})
		if err != nil {
			t.Errorf("after %v: %v", after, err)
		}
	}
}

func position(t testing.TB, s store.Store) (documents int, at store.Position) {
	t.Helper()
	found, at, err := s.Load(t.Context(), realm)
	if err != nil {
		t.Fatal(err)
	}
	return len(found), at
}
