package storetest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

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
