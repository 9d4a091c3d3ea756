package boltstore

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// TestFileTooLarge lets no file of this process grow any more, as a full disk
// does.
func TestFileTooLarge(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := func(n uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
	}
	defer limit(old.Cur)
	fill(t, t.TempDir(), func() { limit(2 << 20) }, func() { limit(old.Cur) })
}

// TestDiskFull fills a small file system. Where mounting is not allowed it is
// left to TestFileTooLarge.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Logf("not tested: mounting: %v", err)
		return
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	fill(t, dir, func() {}, func() {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
			t.Fatal(err)
		}
	})
}

// fill writes until there is no room, wants a clear error and everything that
// was acknowledged, before and after opening the file again, and goes on once
// there is room.
func fill(t *testing.T, dir string, full, room func()) {
	path := filepath.Join(dir, "state.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	full()
	want := map[string]int{}
	failed := 0
	for i := 0; failed < 5; i++ {
		id := fmt.Sprint(i)
		err := put(t, s, id, strings.Repeat("x", 100_000))
		if err == nil {
			want[id] = 100_000
			continue
		}
		failed++
		if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), path) {
			t.Errorf("full: %v", err)
		}
		wantDocuments(t, s, want)
		if i > 1000 {
			t.Fatal("never full")
		}
	}
	if len(want) < 5 {
		t.Errorf("%d documents only", len(want))
	}
	s.Close()
	if s, err = Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	wantDocuments(t, s, want)
	room()
	for _, id := range []string{"a", "b"} {
		if err := put(t, s, id, strings.Repeat("x", 100_000)); err != nil {
			t.Fatal(err)
		}
		want[id] = 100_000
	}
	wantDocuments(t, s, want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	wantDocuments(t, s, want)
}

// TestReadOnly opens a file that may be read and not written.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := open(t, path)
	if err := put(t, s, "a", "1"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	asNobody(t, dir, func() {
		s, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		wantDocuments(t, s, map[string]int{"a": 1})
		if err := put(t, s, "b", "1"); !errors.Is(err, store.ErrReadOnly) || !strings.Contains(err.Error(), path) {
			t.Errorf("apply: %v", err)
		}
		if err := s.Trim(t.Context(), "default", "x"); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("trim: %v", err)
		}
		if _, err := Open(t.Context(), filepath.Join(dir, "new", "state.db")); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("new file: %v", err)
		}
	})
	s = open(t, path)
	if err := put(t, s, "b", "1"); err != nil {
		t.Error(err)
	}
	wantDocuments(t, s, map[string]int{"a": 1, "b": 1})
}

// asNobody runs f while what is in a folder can be read and not written. To
// root everything can: root's thread becomes somebody else for its files.
func asNobody(t *testing.T, dir string, f func()) {
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(d, 0o755)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.Chmod(file, 0o444); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(file, 0o600)
	}
	if os.Getuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := syscall.Setfsuid(0); err != nil {
				t.Error(err)
			}
		}()
	}
	f()
}
