package state

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Usage is when and from where something was used last.
type Usage struct {
	At     time.Time `json:"at"`
	Remote string    `json:"remote,omitempty"`
	Agent  string    `json:"agent,omitempty"`
}

// UsageID returns the id of the usage of a record: "robot/ci".
func UsageID(kind, id string) string { return kind + "/" + id }

const (
	flushUsage = 30 * time.Second
	// maxUsage bounds what waits to be written; maxAgent what is kept of a
	// user agent, in bytes.
	maxUsage = 100_000
	maxAgent = 128
)

// usageWriter collects uses and writes them now and then: a pull must not
// cost a write.
type usageWriter struct {
	state   *State
	mu      sync.Mutex
	waiting map[string]Usage
}

func (w *usageWriter) start(s *State) { w.state, w.waiting = s, map[string]Usage{} }

// Used notes that a record was used now. It returns at once; the store learns
// of it within half a minute.
func (s *State) Used(kind, id string, remote netip.Addr, agent string) {
	w := &s.usage
	key := UsageID(kind, id)
	now := s.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	before, known := w.waiting[key]
	if known && now.Sub(before.At) < time.Second || !known && len(w.waiting) >= maxUsage {
		return
	}
	if len(agent) > maxAgent {
		agent = agent[:maxAgent]
	}
	w.waiting[key] = Usage{At: now.UTC().Truncate(time.Second), Remote: remote.String(), Agent: strings.ToValidUTF8(agent, "")}
}

// LastUsed returns when and from where a record was used last, by any gateway.
func (s *State) LastUsed(kind, id string) (Usage, bool) {
	key := UsageID(kind, id)
	s.usage.mu.Lock()
	fresh, waiting := s.usage.waiting[key]
	s.usage.mu.Unlock()
	if waiting {
		return fresh, true
	}
	item, ok := s.Usage.Get(key)
	if !ok {
		return Usage{}, false
	}
	return *item.Value, true
}

// usedThingExists reports whether what a usage is about is still there.
func (s *State) usedThingExists(id string) bool {
	kind, of, _ := strings.Cut(id, "/")
	t, ok := s.tables[kind].(lookup)
	return ok && t.has(of)
}

func (t *Table[T]) has(id string) bool {
	_, ok := t.Get(id)
	return ok
}

func (w *usageWriter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			w.state.FlushUsage(last)
			return
		case <-time.After(flushUsage):
			w.state.FlushUsage(ctx)
		}
	}
}

// FlushUsage writes the uses that wait to be written. What can't be written
// waits on.
func (s *State) FlushUsage(ctx context.Context) {
	w := &s.usage
	w.mu.Lock()
	waiting := w.waiting
	w.waiting = make(map[string]Usage, len(waiting))
	w.mu.Unlock()
	var tx Tx
	written := make([]string, 0, maxTidy)
	flush := func() bool {
		if err := s.Commit(ctx, &tx); err != nil {
			s.options.Log.Warn("writing when credentials were used", "realm", s.realm, "error", err)
			return false
		}
		for _, id := range written {
			delete(waiting, id)
		}
		tx, written = Tx{}, written[:0]
		return true
	}
	for id, usage := range waiting {
		Put(&tx, s.Usage, id, &usage, store.Precondition{})
		if written = append(written, id); len(written) == maxTidy && !flush() {
			break
		}
	}
	if len(written) > 0 {
		flush()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, usage := range waiting {
		if _, newer := w.waiting[id]; !newer && len(w.waiting) < maxUsage {
			w.waiting[id] = usage
		}
	}
}

// lookup is a table that knows whether it has a record.
type lookup interface{ has(id string) bool }

// maxSightings bounds the users who wait to be written down; more than that at
// once are written down when they come again.
const maxSightings = 1024

// Seen notes that a user was authenticated by something outside: an identity
// provider, a directory, a password file. It returns at once; the record is
// written in the background, and only if it says anything new.
func (s *State) Seen(p *authn.Principal) {
	select {
	case s.sightings <- p:
	default:
	}
}

// watchSightings writes users down.
func (s *State) watchSightings(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-s.sightings:
			s.writeSighting(ctx, p)
		}
	}
}

func (s *State) writeSighting(ctx context.Context, p *authn.Principal) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for range 3 {
		id, user, before, changed := s.See(p)
		if !changed {
			return
		}
		var tx Tx
		s.PutUser(&tx, id, user, before)
		err := s.Commit(ctx, &tx)
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrConflict) {
			s.options.Log.Warn("writing down a user", "realm", s.realm, "error", err)
			return
		}
		// Another gateway was faster: its change is here in a moment.
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}
