package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// disturb does something to gateways.
func disturb(nodes []*node, do func()) {
	mark := func(calm bool) {
		for _, n := range nodes {
			n.mu.Lock()
			n.disturbed, n.calm = time.Now(), calm
			n.mu.Unlock()
		}
	}
	mark(false)
	do()
	mark(true)
}

// knows reports whether a gateway has to know what was acknowledged at a time.
func (n *node) knows(at time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.disturbed.After(at) {
		at = n.disturbed
	}
	return n.calm && time.Since(at) > settled
}

// faults disturbs gateways and their store until ctx is done, and leaves everything
// running. A backup is made and restored in every run.
func (h *history) faults(ctx context.Context) (did map[string]int) {
	did = map[string]int{}
	kinds := []string{"kill", "pause", "backup", "restore"}
	if h.db != nil {
		kinds = append(kinds, "database", "cut")
	}
	for n := 0; ctx.Err() == nil; n++ {
		kind := kinds[rand.IntN(len(kinds))]
		if n < 2 {
			kind = []string{"backup", "restore"}[n]
		}
		wait(ctx, min(*lasts/16, time.Second), min(*lasts/8, 3*settled))
		if ctx.Err() != nil {
			break
		}
		did[kind]++
		h.suffer(context.WithoutCancel(ctx), kind, h.any())
	}
	return did
}

func wait(ctx context.Context, least, most time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(least + rand.N(most-least)):
	}
}

// suffer does something to a gateway, or to the store.
func (h *history) suffer(ctx context.Context, kind string, n *node) {
	moment := func() { wait(ctx, 100*time.Millisecond, 2*time.Second) }
	switch kind {
	case "kill":
		disturb([]*node{n}, func() {
			n.Kill()
			h.must(n.Restart(ctx, n.config))
		})
	case "pause":
		disturb([]*node{n}, func() {
			h.must(n.Signal(syscall.SIGSTOP))
			moment()
			h.must(n.Signal(syscall.SIGCONT))
		})
	case "cut":
		disturb([]*node{n}, func() {
			n.line.Cut()
			moment()
			n.line.Mend()
		})
	case "database":
		disturb(h.nodes, func() {
			h.must(h.db.Crash())
			moment()
			h.must(h.db.Resume(ctx))
		})
	case "backup":
		h.makeBackup(ctx)
	case "restore":
		disturb(h.nodes, func() { h.restore(ctx, n) })
		h.afterRestore()
	}
}

func (h *history) must(err error) {
	if err != nil {
		h.t.Error(err)
	}
}

// backup is a copy of the store.
type backup struct {
	file        string
	begun       time.Time // what was acknowledged before is in it
	least, most [counters]int64
}

// makeBackup makes one as docs/state.md says.
func (h *history) makeBackup(ctx context.Context) {
	h.counting.Lock()
	defer h.counting.Unlock()
	b := &backup{begun: time.Now()}
	for i := range counters {
		b.least[i], b.most[i] = h.counted[i].bounds()
	}
	if h.db != nil {
		b.file = "state.dump"
		h.must(h.db.Shell(`pg_dump --format custom --file state.dump "$REGISTRY_AUTH_DSN"`))
	} else {
		n := h.nodes[0]
		b.file = filepath.Join(h.t.TempDir(), fmt.Sprint(b.begun.UnixNano(), ".db"))
		h.command(ctx, n, "backup", b.file, "--address", "unix/"+filepath.Join(filepath.Dir(n.Caddyfile()), "admin.sock"))
	}
	h.backup = b
}

func (h *history) command(ctx context.Context, n *node, args ...string) {
	if out, err := n.Command(ctx, append([]string{"registry-auth", "state"}, args...)...).CombinedOutput(); err != nil {
		h.t.Errorf("state %v: %v: %s", args, err, out)
	}
}

// restore puts the last backup in the place of the store: below gateways that run,
// one of which may be cut off in that time, or of the one gateway that is stopped.
func (h *history) restore(ctx context.Context, n *node) {
	h.counting.Lock() // until afterRestore
	end := h.restores.begin(h.backup.begun)
	defer end()
	if h.db == nil {
		n.Kill()
		h.command(ctx, n, "restore", h.backup.file, "--file", filepath.Join(n.DataDir(), "registry_auth", "state.db"))
		h.must(n.Restart(ctx, n.config))
		return
	}
	cut := rand.IntN(2) == 0
	if cut {
		n.line.Cut()
	}
	for try := 0; ; try++ {
		err := h.db.Shell(`pg_restore --clean --if-exists --single-transaction --dbname "$REGISTRY_AUTH_DSN" state.dump`)
		if err == nil || try == 9 || !strings.Contains(err.Error(), "deadlock detected") { // with gateways: nothing was done
			h.must(err)
			break
		}
	}
	if cut {
		wait(ctx, 100*time.Millisecond, 2*time.Second)
		n.line.Mend()
	}
}

// afterRestore holds counters to what they were in the backup, and lets them be
// counted on from there: also by clients that hold the ETag of what was lost.
func (h *history) afterRestore() {
	defer h.counting.Unlock()
	for end := time.Now().Add(settled); time.Now().Before(end) && !h.isBack(); {
		time.Sleep(50 * time.Millisecond)
	}
	for i := range counters {
		var at int64
		for _, n := range h.nodes {
			if at, _ = n.read(i); at < h.backup.least[i] || at > h.backup.most[i] {
				h.t.Errorf("counter %d is %d on %s after a restore, want %d to %d", i, at, n.url, h.backup.least[i], h.backup.most[i])
			}
		}
		h.counted[i].acknowledged.Store(at)
		h.counted[i].unknown.Store(0)
	}
}

// isBack reports whether all gateways have what was restored, and this is not what
// they had before.
func (h *history) isBack() bool {
	for i := range counters {
		if least, _ := h.counted[i].bounds(); least <= h.backup.most[i] {
			return false
		}
		for _, n := range h.nodes {
			if at, etag := n.read(i); etag == "" || at > h.backup.most[i] {
				return false
			}
		}
	}
	return true
}

// restores are those so far.
type restores struct {
	mu  sync.Mutex
	all []*[2]time.Time // from when the backup is, and until when it was being restored; zero: it still is
}

func (x *restores) begin(from time.Time) (end func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := &[2]time.Time{from}
	x.all = append(x.all, r)
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		r[1] = time.Now()
	}
}

// undid reports whether what was done between two times may be undone.
func (x *restores) undid(begun, ended time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.all {
		if !ended.Before(r[0]) && (r[1].IsZero() || begun.Before(r[1])) {
			return true
		}
	}
	return false
}
