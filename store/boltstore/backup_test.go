package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// wantGood wants a file to be good and to have so many records.
func wantGood(t *testing.T, path string, least int) {
	t.Helper()
	r, err := VerifyFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems) > 0 || len(r.Realms) != 1 || r.Realms[0].Records < least || r.Realms[0].Unchecked != 0 || r.Format != Format {
		t.Errorf("%s: %+v, want %d records", path, r, least)
	}
}

// TestBackupWhileWriting makes copies while the store is written to: each is good
// and has everything that was acknowledged before it was begun.
func TestBackupWhileWriting(t *testing.T) {
	path, _ := filled(t)
	s := open(t, path)
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	made := 0
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := 0; ctx.Err() == nil; j++ {
				if err := put(t, s, fmt.Sprintf("w%d-%d", i, j), "1"); err == nil {
					mu.Lock()
					made++
					mu.Unlock()
				}
			}
		})
	}
	for i := range 8 {
		mu.Lock()
		before := made
		mu.Unlock()
		copied := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := s.Backup(t.Context(), copied); err != nil {
			t.Fatal(err)
		}
		wantGood(t, copied, 2000+before)
		if r, err := s.Verify(t.Context()); err != nil || len(r.Problems) > 0 || r.Realms[0].Records < 2000+before {
			t.Errorf("running: %+v %v", r, err)
		}
		if err := s.Backup(t.Context(), copied); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over another: %v", err)
		}
		if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info, err)
		}
	}
	stop()
	all.Wait()
}

// TestBackupOfADeletedFile saves what a store knows whose file was deleted.
func TestBackupOfADeletedFile(t *testing.T) {
	path, _ := filled(t)
	s := open(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	wantGood(t, copied, 2000)
	if r, err := s.Verify(t.Context()); err != nil || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "was deleted") {
		t.Errorf("%+v %v", r, err)
	}
	s.Close()
	if _, err := Restore(t.Context(), copied, path); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if d, _, err := s.Load(t.Context(), "default"); err != nil || len(d) != 2000 {
		t.Errorf("%d %v", len(d), err)
	}
}

// TestRestore puts copies in the place of good, damaged and absent stores, and
// never a damaged one, or below a gateway.
func TestRestore(t *testing.T) {
	backup, content := filled(t)
	path := filepath.Join(t.TempDir(), "folder", "state.db")
	restored := func(wantReplaced bool) {
		t.Helper()
		replaced, err := Restore(t.Context(), backup, path)
		if err != nil || (replaced != "") != wantReplaced {
			t.Errorf("replaced %q, %v", replaced, err)
		}
		s := open(t, path)
		if d, _, err := s.Load(t.Context(), "default"); err != nil || len(d) != 2000 {
			t.Errorf("%d %v", len(d), err)
		}
		s.Close()
		if _, err := os.Stat(marker(path)); err != nil {
			t.Error(err)
		}
	}
	restored(false)
	write(t, path, nil)
	restored(true)
	write(t, path, content[:len(content)/3])
	restored(true)
	s := open(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Restore(ctx, backup, path); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "stop the gateway") {
		t.Errorf("below a gateway: %v", err)
	}
	s.Close()
	content[len(content)/2] ^= 1
	for at := 8192; at < len(content); at += 512 {
		content[at] ^= 1
	}
	write(t, backup, content)
	if _, err := Restore(t.Context(), backup, path); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a damaged copy: %v", err)
	}
	wantGood(t, path, 2000)
}

// TestVerifyFile names what is damaged.
func TestVerifyFile(t *testing.T) {
	path, content := filled(t)
	at := strings.Index(string(content), `{"v":1,"r":{"number":`)
	content[at] = 'x'
	for i := at; i >= 0; i = strings.Index(string(content), `{"v":1,"r":{"number":0}}`) {
		content[i] = 'x'
	}
	write(t, path, content)
	r, err := VerifyFile(t.Context(), path)
	if err != nil || len(r.Problems) == 0 || !strings.Contains(r.Problems[0], "record") || !strings.Contains(r.Problems[0], "robot") {
		t.Errorf("%+v %v", r, err)
	}
	for name, data := range map[string][]byte{"empty": nil, "text": []byte(strings.Repeat("text", 5000)), "cut off": content[:30000]} {
		write(t, path, data)
		if r, err := VerifyFile(t.Context(), path); err != nil || len(r.Problems) == 0 {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	if _, err := VerifyFile(t.Context(), path+"-none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := VerifyFile(ctx, s.path); !errors.Is(err, store.ErrLocked) {
		t.Errorf("in use: %v", err)
	}
}

// TestSchedule makes copies when they are due, and keeps as many as it should.
func TestSchedule(t *testing.T) {
	path, _ := filled(t)
	s := open(t, path)
	folder := filepath.Join(t.TempDir(), "copies")
	c := Schedule{Every: time.Hour, Keep: 3, To: folder}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if due := c.due(now); due > time.Minute {
		t.Errorf("the first is due in %s", due)
	}
	for i := range 5 {
		at := now.Add(time.Duration(i) * time.Hour)
		made, err := c.make(t.Context(), s, at)
		if err != nil {
			t.Fatal(err)
		}
		wantGood(t, made, 2000)
		if due := c.due(at.Add(10 * time.Minute)); due != 50*time.Minute {
			t.Errorf("due in %s", due)
		}
		if due := c.due(at.Add(-48 * time.Hour)); due > c.Every {
			t.Errorf("after a clock was wrong: due in %s", due)
		}
	}
	write(t, filepath.Join(folder, "state-mine.db"), []byte("not ours"))
	if _, err := c.make(t.Context(), s, now.Add(10*time.Hour)); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(left) != 4 || !strings.Contains(strings.Join(left, " "), "20260102T130405Z") {
		t.Errorf("left: %v %v", left, err)
	}
	// And by itself.
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	c.To = filepath.Join(t.TempDir(), "others")
	go func() {
		defer close(done)
		c.Run(ctx, func(context.Context) (store.Store, error) { return s, nil }, slog.New(slog.DiscardHandler))
	}()
	for end := time.Now().Add(10 * time.Second); len(c.copies()) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no copy is made")
		}
	}
	stop()
	<-done
}
