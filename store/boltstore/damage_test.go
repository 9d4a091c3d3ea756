package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// filled makes a store with documents, deletions and history, and returns its
// path and content.
func filled(t *testing.T) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	for i := range 40 {
		changes := make([]store.Change, 50)
		for j := range changes {
			changes[j] = store.Change{Key: store.Key{Kind: "robot", ID: fmt.Sprintf("%d-%d", i, j)}, Data: fmt.Appendf(nil, `{"v":1,"r":{"number":%d}}`, i*j)}
		}
		if _, err := s.Apply(t.Context(), "default", changes, store.Entry{ID: fmt.Sprint(i), Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, read(t, path)
}

// wantRefused wants a file not to be opened, for a reason with its path and
// what to do, and to be left alone.
func wantRefused(t *testing.T, path, what string) {
	t.Helper()
	before, _ := os.ReadFile(path)
	s, err := Open(t.Context(), path)
	if err == nil {
		s.Close()
		t.Errorf("%s: opened", what)
		return
	}
	if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "restore") {
		t.Errorf("%s: %v", what, err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Errorf("%s: the file was changed", what)
	}
}

// TestCutOff opens a file that was cut off, at every page and elsewhere.
func TestCutOff(t *testing.T) {
	path, content := filled(t)
	metas, err := readMetas(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	used := int(max(metas[0].pages, metas[1].pages)) * 4096
	for length := 0; length < used; length += 2048 { // the file grows in larger steps
		write(t, path, content[:length])
		wantRefused(t, path, fmt.Sprint(length))
	}
	write(t, path, content)
	open(t, path)
}

// TestOverwritten opens a file in which something else stands on one page.
func TestOverwritten(t *testing.T) {
	path, content := filled(t)
	good := read(t, path)
	opened := 0
	for page := 0; page+4096 <= len(content); page += 3 * 4096 {
		for name, with := range map[string][]byte{"zeros": make([]byte, 4096), "ones": bytes.Repeat([]byte{0xFF}, 4096), "another page": content[(page+8*4096)%(len(content)-4096):][:4096]} {
			copy(content, good)
			copy(content[page:], with)
			write(t, path, content)
			s, err := Open(t.Context(), path)
			if err == nil {
				// One of the two first pages, or a free one.
				opened++
				if d, _, err := s.Load(t.Context(), "default"); err == nil && len(d) != 2000 && page > 4096 || err != nil && !errors.Is(err, store.ErrDamaged) {
					t.Errorf("page %d, %s: %d documents, %v", page/4096, name, len(d), err)
				}
				s.Close()
				continue
			}
			if !errors.Is(err, store.ErrDamaged) {
				t.Errorf("page %d, %s: %v", page/4096, name, err)
			}
		}
	}
	t.Logf("opened %d times", opened)
}

// TestFlippedByte changes one byte at a time: nothing is lost or changed without
// a word.
func TestFlippedByte(t *testing.T) {
	path, content := filled(t)
	found := 0
	for i, at := 0, 8192; at < len(content); i, at = i+1, at+1999 {
		if i%2 == 1 {
			at &^= 15 // the numbers at the beginning of elements and pages
		}
		content[at+i%8] ^= 1 << (i % 8)
		write(t, path, content)
		content[at+i%8] ^= 1 << (i % 8)
		s, err := Open(t.Context(), path)
		if err != nil {
			found++
			if !errors.Is(err, store.ErrDamaged) {
				t.Errorf("byte %d: %v", at, err)
			}
			continue
		}
		documents, _, err := s.Load(t.Context(), "default")
		switch {
		case errors.Is(err, store.ErrDamaged):
			found++
			if !strings.Contains(err.Error(), path) {
				t.Errorf("byte %d: %v", at, err)
			}
		case err != nil:
			t.Errorf("byte %d: %v", at, err)
		case len(documents) != 2000:
			t.Errorf("byte %d: %d documents", at, len(documents))
		}
		for _, d := range documents {
			var i, j int
			if n, _ := fmt.Sscanf(d.ID, "%d-%d", &i, &j); n != 2 || string(d.Data) != fmt.Sprintf(`{"v":1,"r":{"number":%d}}`, i*j) {
				t.Errorf("byte %d: %s has become %s", at, d.ID, d.Data)
			}
		}
		s.Close()
	}
	if found == 0 {
		t.Error("nothing was found")
	}
}

// TestCopiedLive copies the file while it is written to, as cp does: what is
// opened is whole.
func TestCopiedLive(t *testing.T) {
	path, _ := filled(t)
	s := open(t, path)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = s.Apply(ctx, "default", []store.Change{{Key: store.Key{Kind: "robot", ID: fmt.Sprintf("%d-1", i%40)}, Data: fmt.Append(nil, i)}})
		}
	}()
	copied, refused := filepath.Join(t.TempDir(), "state.db"), 0
	for range 12 {
		copyFile(t, path, copied)
		c, err := Open(t.Context(), copied)
		if err == nil {
			var d []store.Document
			d, _, err = c.Load(t.Context(), "default")
			if err == nil && len(d) != 2000 {
				t.Errorf("%d documents", len(d))
			}
			c.Close()
		}
		if err != nil {
			refused++
			if !errors.Is(err, store.ErrDamaged) {
				t.Error(err)
			}
		}
	}
	stop()
	<-done
	t.Logf("%d copies refused", refused)
}

// copyFile copies page by page.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var all []byte
	page := make([]byte, 4096)
	for {
		n, err := in.Read(page)
		if n == 0 || err != nil {
			break
		}
		all = append(all, page[:n]...)
		time.Sleep(20 * time.Microsecond)
	}
	write(t, to, all)
}

// TestNoFirstStart wants an empty store to be made only where there never was
// one.
func TestNoFirstStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "state.db")
	s := open(t, path)
	if err := put(t, s, "a", "1"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	content := read(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, path, "deleted")
	write(t, path, nil)
	wantRefused(t, path, "empty")
	if err := os.Remove(marker(path)); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, path, "empty, without a marker")
	write(t, path, content)
	s = open(t, path) // of a version without a marker, for example
	wantDocuments(t, s, map[string]int{"a": 1})
	s.Close()
	if _, err := os.Stat(marker(path)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{path, marker(path)} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	wantDocuments(t, open(t, path), map[string]int{})
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

// TestLostWhileRunning takes the file away under the store that has it open.
func TestLostWhileRunning(t *testing.T) {
	away := func(path string) string { return path + ".away" }
	for name, c := range map[string]struct {
		lose, back func(t *testing.T, path string)
		want       string
	}{
		"moved": {
			func(t *testing.T, path string) { rename(t, path, away(path)) },
			func(t *testing.T, path string) { rename(t, away(path), path) },
			"was deleted or moved away",
		},
		"replaced": {
			func(t *testing.T, path string) {
				rename(t, path, away(path))
				write(t, path, read(t, away(path)))
			},
			func(t *testing.T, path string) { rename(t, away(path), path) },
			"was replaced by another",
		},
		"deleted": {
			func(t *testing.T, path string) {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			},
			nil, "was deleted or moved away",
		},
		"cut off": {
			func(t *testing.T, path string) {
				if err := os.Truncate(path, 8192); err != nil {
					t.Fatal(err)
				}
			},
			nil, "was cut off",
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := filled(t)
			s := open(t, path)
			if err := put(t, s, "first", "1"); err != nil {
				t.Fatal(err)
			}
			errs := make(chan error, 1)
			go func() {
				errs <- s.Watch(t.Context(), "default", store.Position{Sequence: 41}, func(store.Batch) {})
			}()
			time.Sleep(50 * time.Millisecond)
			c.lose(t, path)
			select {
			case err := <-errs:
				if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("watch: %v", err)
				}
			case <-time.After(3 * time.Second):
				t.Error("watchers do not notice")
			}
			for range 3 {
				err := put(t, s, "lost", "1")
				if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("apply: %v", err)
				}
			}
			if err := s.Trim(t.Context(), "default", "1"); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("trim: %v", err)
			}
			documents, _, err := s.Load(t.Context(), "default")
			if name == "cut off" {
				if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), path) {
					t.Errorf("load: %d documents, %v", len(documents), err)
				}
			} else if err != nil || len(documents) != 2001 {
				t.Errorf("load: %d documents, %v", len(documents), err)
			}
			if c.back != nil {
				c.back(t, path)
				if err := put(t, s, "back", "1"); err != nil {
					t.Errorf("back: %v", err)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if s, err := Open(t.Context(), path); c.back != nil && err != nil || c.back == nil && !errors.Is(err, store.ErrDamaged) {
				t.Errorf("open: %v", err)
			} else if err == nil {
				s.Close()
			}
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
