package state

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Tally is how often somebody did something on one gateway that is to be slowed
// down, such as showing wrong passwords. Its id is that of what is counted and the
// gateway's own.
type Tally struct {
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
}

const (
	// minTally is from how many on others are told: what happens to everybody
	// now and then is not written down.
	minTally = 3
	// flushTallies is how often that happens, maxTallied how many are written at a
	// time, and maxWaiting how many wait for it: a flood costs the store no more
	// than that.
	flushTallies = 2 * time.Second
	maxTallied   = 200
	maxWaiting   = 4096
	// maxTallies is how many there are in all, and keepTally how long one is kept.
	maxTallies = 20_000
	keepTally  = time.Hour
)

// tallies are what this gateway counts and what others have counted.
type tallies struct {
	gateway string // in the ids of the own ones; empty: the store is not shared

	mu      sync.Mutex
	waiting map[string]Tally
	others  map[string]map[string]*Tally // by what is counted and gateway
}

func (x *tallies) follow(t *Table[Tally]) {
	x.waiting, x.others = map[string]Tally{}, map[string]map[string]*Tally{}
	t.onChange(func(before, after *Item[Tally]) {
		item := after
		if item == nil {
			item = before
		}
		key, gateway, _ := strings.Cut(item.ID, "@")
		if gateway == x.gateway {
			return
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		if after == nil {
			if delete(x.others[key], gateway); len(x.others[key]) == 0 {
				delete(x.others, key)
			}
			return
		}
		if x.others[key] == nil {
			x.others[key] = map[string]*Tally{}
		}
		x.others[key][gateway] = after.Value
	})
}

// tallyKey says what is counted without saying who it is.
func tallyKey(purpose, who string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", purpose, who))
	return purpose + "/" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Tally takes note of how often somebody has done something on this gateway, and
// returns how often on the others lately. Neither takes any time: others learn of
// it within a few seconds.
func (s *State) Tally(purpose, who string, count int, within time.Duration) (elsewhere int) {
	x := &s.tallies
	if x.gateway == "" {
		return 0
	}
	key, now := tallyKey(purpose, who), s.now()
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, waits := x.waiting[key]; count >= minTally && (waits || len(x.waiting) < maxWaiting) {
		x.waiting[key] = Tally{Count: count, Last: now.UTC().Truncate(time.Second)}
	}
	for _, t := range x.others[key] {
		if now.Sub(t.Last) <= within {
			elsewhere += t.Count
		}
	}
	return elsewhere
}

// writeTallies tells the other gateways, until ctx is done.
func (s *State) writeTallies(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(flushTallies):
			s.FlushTallies(ctx)
		}
	}
}

// FlushTallies tells them at once. What cannot be written is forgotten: it is
// counted here all the same.
func (s *State) FlushTallies(ctx context.Context) {
	x := &s.tallies
	var tx Tx
	x.mu.Lock()
	for key, t := range x.waiting {
		if len(tx.changes) == maxTallied {
			break
		}
		id := key + "@" + x.gateway
		if _, known := s.Tallies.Get(id); known || s.Tallies.items.len() < maxTallies {
			Put(&tx, s.Tallies, id, &t, store.Precondition{})
		}
		delete(x.waiting, key)
	}
	x.mu.Unlock()
	if err := s.Commit(ctx, &tx); err != nil {
		s.options.Log.Debug("telling other gateways who failed how often", "realm", s.realm, "error", err)
	}
}
