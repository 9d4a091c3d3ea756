package boltstore

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/storetest"
)

// fileVariable names the file of a process that is to be killed.
const fileVariable = "BOLTSTORE_FILE"

func TestMain(m *testing.M) {
	storetest.RunWriter(func() (store.Store, error) { return Open(context.Background(), os.Getenv(fileVariable)) })
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		path := filepath.Join(t.TempDir(), "state.db")
		return storetest.Place{
			Open:    func() (store.Store, error) { return Open(t.Context(), path) },
			Lasting: true,
			Age:     func(_ *testing.T, s store.Store, by time.Duration) { elapse(s.(*Store), by) },
			Save: func(t *testing.T, _ store.Store) func() {
				saved := read(t, path)
				return func() { write(t, path, saved) }
			},
		}
	})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// write puts something in the place of a file, without changing which it is.
func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func elapse(s *Store, by time.Duration) {
	now := s.now
	s.now = func() time.Time { return now().Add(by) }
}

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, func() (store.Store, error) { return Open(b.Context(), filepath.Join(b.TempDir(), "state.db")) })
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	storetest.Kill(t, 25, func() (store.Store, error) { return Open(t.Context(), path) }, fileVariable+"="+path)
}

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s store.Store, id, data string) error {
	t.Helper()
	_, err := s.Apply(t.Context(), "default", []store.Change{{Key: store.Key{Kind: "robot", ID: id}, Data: []byte(data)}})
	return err
}

// wantDocuments compares ids and the lengths of the data.
func wantDocuments(t *testing.T, s store.Store, want map[string]int) {
	t.Helper()
	documents, _, err := s.Load(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, d := range documents {
		got[d.ID] = len(d.Data)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("documents %v, want %v", got, want)
	}
}

func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "state.db")
	open(t, path).Close()
	mode := func(path string) os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if m := mode(path); m != 0o600 {
		t.Errorf("file %o", m)
	}
	if m := mode(filepath.Dir(path)); m != 0o700 {
		t.Errorf("folder %o", m)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if m := mode(path); m != 0o600 {
		t.Errorf("file that was open to others: %o", m)
	}
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	start := time.Now()
	_, err := Open(t.Context(), path)
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("second: %v", err)
	}
	if waited := time.Since(start); waited < time.Second || waited > 6*time.Second {
		t.Errorf("waited %v", waited)
	}
	time.AfterFunc(200*time.Millisecond, func() { s.Close() })
	open(t, path) // the first ends while the second waits
}

// TestNoStore opens files that are something else, and leaves them alone.
func TestNoStore(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	db, err := bbolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{foreign, text, dir} {
		before, _ := os.ReadFile(path)
		if _, err := Open(t.Context(), path); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Errorf("%s was changed", path)
		}
	}
}

// TestCompany has a large change and a conflict wait together with others:
// each has its own answer.
func TestCompany(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	results := make(chan error, 40)
	for i := range cap(results) {
		change := store.Change{Key: store.Key{Kind: "robot", ID: fmt.Sprint(i / 2)}, Data: []byte("x"), If: store.Precondition{Absent: true}}
		go func() {
			_, err := s.Apply(t.Context(), "default", []store.Change{change})
			results <- err
		}()
	}
	made, conflicts := 0, 0
	for range cap(results) {
		switch err := <-results; {
		case err == nil:
			made++
		case errors.Is(err, store.ErrConflict):
			conflicts++
		default:
			t.Error(err)
		}
	}
	if made != 20 || conflicts != 20 {
		t.Errorf("%d made, %d conflicts", made, conflicts)
	}
}

// TestUnsure has a transaction fail that can be seen all the same: the disk may
// have lost anything, so that nothing is written on top of it.
func TestUnsure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	if err := put(t, s, "a", "1"); err != nil {
		t.Fatal(err)
	}
	var seen int
	if err := s.db.View(func(tx *bbolt.Tx) error { seen = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.failed(syscall.ENOSPC, seen); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrFull) {
		t.Errorf("failed: %v", err)
	}
	for name, err := range map[string]error{"apply": put(t, s, "b", "1"), "trim": s.Trim(t.Context(), "default", "x")} {
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantDocuments(t, s, map[string]int{"a": 1})
	s.Close()
	if err := put(t, open(t, path), "b", "1"); err != nil {
		t.Error(err)
	}
}

var writeSample = flag.Bool("write-sample", false, "write testdata/formatN.db of this program's format, which is kept")

// TestUpgrade opens a file of each format that was ever released.
func TestUpgrade(t *testing.T) {
	if *writeSample {
		s := open(t, fmt.Sprintf("testdata/format%d.db", Format))
		storetest.WriteSample(t, s)
		s.Close()
	}
	for format := 1; format <= Format; format++ {
		sample, err := os.ReadFile(fmt.Sprintf("testdata/format%d.db", format))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "state.db")
		if err := os.WriteFile(path, sample, 0o600); err != nil {
			t.Fatal(err)
		}
		storetest.WantSample(t, open(t, path))
	}
}

func TestNewerFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	for stored, want := range map[string]error{"3": store.ErrFormat, "999": store.ErrFormat, "": store.ErrDamaged, "x": store.ErrDamaged, "0": store.ErrDamaged} {
		s := open(t, path)
		if err := put(t, s, "a", "1"); err != nil {
			t.Fatal(err)
		}
		setFormat(t, s, stored)
		s.Close()
		_, err := Open(t.Context(), path)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), stored) {
			t.Errorf("format %q: %v", stored, err)
		}
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		setFormat(t, &Store{db: db}, "2")
		db.Close()
	}
	wantDocuments(t, open(t, path), map[string]int{"a": 1})
}

func setFormat(t *testing.T, s *Store, format string) {
	t.Helper()
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte(format)) })
	if err != nil {
		t.Fatal(err)
	}
}
