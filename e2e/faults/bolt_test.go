package faults

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/process"
)

// stateFile is a gateway's state file, and what can happen to it.
type stateFile struct {
	path string
	n    *node
	u    *users
	mark int // where the log of the start on a damaged file begins
}

// TestBolt damages the state file and takes it away. No fault of it may end the
// process or be taken for a first start: other sites go on, the realm says 503,
// and the log says which file it is and what to do.
func TestBolt(t *testing.T) {
	r := newRegistry(t)
	f := &stateFile{path: filepath.Join(t.TempDir(), "state.db")}
	f.n = configure(t, r, "bolt "+f.path, "")
	f.n.start(t)
	rounds(t, func(t *testing.T) {
		f.u = newUsers(t, "the state file", r, nil, f.n)
		for _, damaged := range []struct {
			name   string
			damage func(*check)
		}{
			{"state file truncated", f.truncate},
			{"state file empty", func(c *check) { must(c, os.Truncate(f.path, 0)) }},
			{"state file foreign", func(c *check) { must(c, os.WriteFile(f.path, bytes.Repeat([]byte("something else\n"), 4000), 0o600)) }},
			{"state file gone", func(c *check) { must(c, os.Remove(f.path)) }},
			{"a flipped byte", f.flip},
		} {
			suffer(t, f.u, f.atStart(damaged.name, damaged.damage))
		}
		keep := f.path + ".kept"
		back := func(c *check) {
			f.n.Kill()
			must(c, os.Rename(keep, f.path))
			must(c, f.n.Restart(c.Context(), f.n.config))
		}
		while := everybody(gone, 503) // of the restart that ends it
		suffer(t, f.u, fault{name: "state file deleted while running", refuses: map[kind][]int{change: {503}}, begin: func(c *check) {
			must(c, os.Link(f.path, keep))
			must(c, os.Remove(f.path))
		}, during: f.refusesChanges, end: back, atEnd: while, felt: true, within: time.Second})
		suffer(t, f.u, fault{name: "state file replaced while running", refuses: map[kind][]int{change: {503}}, begin: func(c *check) {
			must(c, os.Link(f.path, keep))
			f.copy(c, f.path+".new")
			must(c, os.Rename(f.path+".new", f.path))
		}, during: f.refusesChanges, end: back, atEnd: while, felt: true, within: time.Second})
		suffer(t, f.u, fault{name: "state file truncated while running", refuses: map[kind][]int{change: {503}}, begin: func(c *check) {
			must(c, f.n.Signal(stop))
			f.copy(c, keep)
			f.truncate(c)
			must(c, f.n.Signal(goOn))
		}, during: f.refusesChanges, end: back, atEnd: while, felt: true, within: time.Second})
		suffer(t, f.u, fault{name: "state file copied while running", during: f.copies, within: time.Second})
		suffer(t, f.u, fault{name: "a second process", refuses: everybody(gone, 503), felt: true, during: f.second, end: func(c *check) {
			must(c, f.n.Restart(c.Context(), f.n.config))
		}, within: time.Second})
	})
	rounds(t, func(t *testing.T) { diskFull(t, r) })
}

func must(c *check, err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// atStart is a fault that the gateway finds when it starts.
func (f *stateFile) atStart(name string, damage func(*check)) fault {
	keep := f.path + ".kept"
	return fault{
		name: name, refuses: everybody(gone, 503), felt: true, within: time.Second,
		begin: func(c *check) {
			f.n.Kill()
			f.copy(c, keep)
			damage(c)
			f.mark = f.n.Log.Mark()
			must(c, f.n.Relaunch(f.n.config))
		},
		during: func(c *check) {
			if !waits(8*time.Second, func() bool { return f.n.send("GET", "/other", "", "").status == 200 }) {
				c.Errorf("another site is not served: %.600s", strings.Join(f.n.Log.Tail(3), "\n"))
				return
			}
			if !waits(3*time.Second, func() bool { return f.n.send("GET", "/v2/", "", "").status == 503 }) {
				a := f.n.send("GET", "/v2/", "", "")
				c.Errorf("/v2/ is answered %d %s %v", a.status, a.body, a.err)
			}
			// One line says both.
			if !waits(time.Second, func() bool {
				return slices.ContainsFunc(f.n.Log.Since(f.mark), func(line string) bool {
					return strings.Contains(line, f.path) && strings.Contains(line, "restore")
				})
			}) {
				c.Errorf("the log names no file and no remedy: %.2000s", strings.Join(f.n.Log.Since(f.mark), "\n"))
			}
			time.Sleep(lasts(500 * time.Millisecond))
		},
		end: func(c *check) {
			f.n.Kill()
			must(c, os.Rename(keep, f.path))
			must(c, f.n.Restart(c.Context(), f.n.config))
		},
	}
}

// waits reports whether something is so within a limit.
func waits(limit time.Duration, so func() bool) bool {
	for begin := time.Now(); time.Since(begin) < slack(limit); time.Sleep(20 * time.Millisecond) {
		if so() {
			return true
		}
	}
	return false
}

// refusesChanges wants changes to be refused that would be made where nobody
// finds them again.
func (f *stateFile) refusesChanges(c *check) {
	i := 0
	if !waits(3*time.Second, func() bool {
		i++
		a := f.n.send("PUT", fmt.Sprintf("%s/robots/nowhere-%d", api, i), asAdmin, `{"permissions":[]}`)
		return a.status == http.StatusServiceUnavailable
	}) {
		c.Errorf("changes go on being acknowledged")
	}
	if !waits(3*time.Second, func() bool {
		return strings.Contains(f.n.send("GET", api+"/health", "", "").body, `"degraded"`)
	}) {
		a := f.n.send("GET", api+"/health", "", "")
		c.Errorf("health: %d %s", a.status, a.body)
	}
	time.Sleep(lasts(500 * time.Millisecond))
}

// copy copies the file, which somebody may be writing to.
func (f *stateFile) copy(c *check, to string) {
	from, err := os.Open(f.path)
	must(c, err)
	defer from.Close()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	must(c, err)
	_, err = io.Copy(file, from)
	must(c, err)
	must(c, file.Close())
}

func (f *stateFile) truncate(c *check) {
	info, err := os.Stat(f.path)
	must(c, err)
	must(c, os.Truncate(f.path, info.Size()/2/4096*4096))
}

// flip changes one bit of the secret of a robot that users log in with.
func (f *stateFile) flip(c *check) {
	text, err := os.ReadFile(f.path)
	must(c, err)
	flipped := 0
	record := []byte(`"name":"stored","number":`)
	for at := 0; ; {
		next := bytes.Index(text[at:], record)
		if next < 0 {
			break
		}
		at += next + len(record)
		if hash := bytes.Index(text[at:min(len(text), at+400)], []byte(`"hash":"sha256:`)); hash >= 0 {
			text[at+hash+40] ^= 1
			flipped++
		}
	}
	if flipped == 0 {
		c.Fatal("there is no record of the robot in the file")
	}
	must(c, os.WriteFile(f.path, text, 0o600))
}

// copies makes copies as cp does, and starts a gateway on each: it works with
// what was acknowledged, or says what is wrong.
func (f *stateFile) copies(c *check) {
	done := make(chan struct{})
	var busy sync.WaitGroup
	defer func() {
		close(done)
		busy.Wait()
	}()
	for writer := range 16 { // who make the file large, and change it all the time
		busy.Go(func() {
			body := fmt.Sprintf(`{"permissions":[],"description":%q}`, strings.Repeat("x", 900))
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				f.n.send("PUT", fmt.Sprintf("%s/robots/busy-%d-%d", api, writer, i%100), asAdmin, body)
			}
		})
	}
	for i := range 4 {
		time.Sleep(300 * time.Millisecond)
		to := fmt.Sprintf("%s.copy%d", f.path, i)
		f.copy(c, to)
		other := configure(c.T, f.u.registry, "bolt "+to, "")
		other.launch(c.T)
		if !waits(8*time.Second, func() bool { return other.send("GET", "/other", "", "").status == 200 }) {
			c.Errorf("on a copy no site is served: %.600s", strings.Join(other.Log.Tail(3), "\n"))
			continue
		}
		a := other.send("GET", manifest, f.u.stored, "")
		log := strings.Join(other.Log.Since(0), "\n")
		if a.status != http.StatusOK && (a.status != http.StatusServiceUnavailable || !strings.Contains(log, to) || !strings.Contains(log, "restore")) {
			c.Errorf("on a copy: %d %s %v: %.1000s", a.status, a.body, a.err, log)
		}
		for _, line := range other.Log.Faults(0) {
			c.Errorf("on a copy: %.600s", line)
		}
		other.Kill()
	}
}

// second starts another process on the file while the first is asked to leave
// and has an upload to finish first.
func (f *stateFile) second(c *check) {
	other := configure(c.T, f.u.registry, "bolt "+f.path, "")
	other.launch(c.T)
	up := upload(f.n, f.u.token, 2<<20, 3500*time.Millisecond)
	time.Sleep(time.Second)
	must(c, f.n.Signal(leave))
	if a := <-up; a.status != http.StatusCreated {
		c.Errorf("the last upload of the first process: %d %s %v", a.status, a.body, a.err)
	}
	<-f.n.Ended()
	if !waits(5*time.Second, func() bool { return other.send("GET", manifest, f.u.stored, "").status == 200 }) {
		c.Errorf("the second process does not take over: %.600s", strings.Join(other.Log.Tail(2), "\n"))
	}
	other.Kill()
}

// diskFull fills the disk that the file is on.
func diskFull(t *testing.T, r *registry) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		if process.Required() {
			t.Fatalf("mounting: %v", err)
		}
		t.Skipf("mounting: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil { // the gateway may still have the file
			t.Error(err)
		}
	})
	n := configure(t, r, "bolt "+filepath.Join(dir, "state.db"), "")
	n.start(t)
	u := newUsers(t, "the state file", r, nil, n)
	suffer(t, u, fault{
		name: "disk full", refuses: map[kind][]int{change: {507}}, felt: true, within: time.Second,
		during: func(c *check) {
			body := fmt.Sprintf(`{"permissions":[],"description":%q}`, strings.Repeat("x", 900))
			status := 0
			for i := 0; i < 5000 && status/100 != 5; i++ {
				status = n.send("PUT", fmt.Sprintf("%s/robots/fills-%d", api, i), asAdmin, body).status
			}
			if status != http.StatusInsufficientStorage {
				c.Errorf("on a full disk: %d", status)
			}
			time.Sleep(lasts(time.Second))
		},
		end: try(func() error { return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=32m") }),
	})
}
