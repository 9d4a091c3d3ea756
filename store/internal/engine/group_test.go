package engine

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

func change(id string, bytes int) []store.Change {
	return []store.Change{{Key: store.Key{Kind: "robot", ID: id}, Data: make([]byte, bytes)}}
}

// waitFor waits until n calls are waiting behind the one that is made.
func waitFor(t *testing.T, g *Group, n int) {
	t.Helper()
	for range 1000 {
		g.mu.Lock()
		waiting := len(g.waiting)
		g.mu.Unlock()
		if waiting == n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("there are never %d waiting", n)
}

// TestGroup wants those who wait to share a commit, one realm's at a time and
// not too much at once, and an error to reach all of them.
func TestGroup(t *testing.T) {
	type commit struct {
		realm string
		calls int
	}
	release := make(chan error)
	started := make(chan struct{}, 10)
	var commits []commit
	g := NewGroup(func(realm string, calls []*Call) error {
		commits = append(commits, commit{realm, len(calls)})
		started <- struct{}{}
		return <-release
	})
	results := make(chan error, 1000)
	start := func(realm string, bytes int) {
		_, err := g.Apply(t.Context(), realm, change("a", bytes), nil)
		results <- err
	}
	waiting := 0
	add := func(realm string, bytes, n int) {
		for range n {
			go start(realm, bytes)
			waiting++
			waitFor(t, g, waiting)
		}
	}
	go start("a", 1)
	<-started // the first alone; the others wait
	add("b", 1, 3)
	add("a", 1, 2)
	add("b", store.MaxDocument, 9)
	failed := errors.New("disk")
	release <- failed
	if err := <-results; !errors.Is(err, failed) {
		t.Errorf("error %v", err)
	}
	for range 3 {
		release <- nil
	}
	for range waiting {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	g.Close()
	want := []commit{{"a", 1}, {"b", 10}, {"a", 2}, {"b", 2}}
	if !slices.Equal(commits, want) {
		t.Errorf("commits %v, want %v", commits, want)
	}
	if _, err := g.Apply(t.Context(), "a", change("a", 1), nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestWithdraw wants what nobody waits for any more not to be made.
func TestWithdraw(t *testing.T) {
	release, started := make(chan struct{}), make(chan struct{})
	var made atomic.Int64
	g := NewGroup(func(_ string, calls []*Call) error {
		close(started)
		<-release
		made.Add(int64(len(calls)))
		return nil
	})
	go func() { _, _ = g.Apply(context.Background(), "a", change("a", 1), nil) }()
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := g.Apply(ctx, "a", change("b", 1), nil)
		done <- err
	}()
	waitFor(t, g, 1)
	cancel()
	if err := <-done; !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(release)
	g.Close()
	if made.Load() != 1 {
		t.Errorf("%d made", made.Load())
	}
}
