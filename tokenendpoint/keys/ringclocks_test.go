package keys

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestRingUnderSkewedClocks: gateways whose clocks differ by up to a minute (±30 s) rotate a shared ring for days:
// each token is accepted by all for its life, each key is published (with a cache
// of 5 minutes, by any gateway) before it signs, and there is one key more than
// needed at most.
func TestRingUnderSkewedClocks(t *testing.T) {
	end := time.Now().Add(time.Second)
	runs, tokens, checks, rotations := 0, 0, 0, 0
	for time.Now().Before(end) {
		runs++
		seed := uint64(time.Now().UnixNano())
		r := rand.New(rand.NewPCG(seed, 1))
		now := start
		store := NewMemoryStore()
		type gw struct {
			ring   *Ring
			offset time.Duration
			next   time.Time
		}
		var gws []*gw
		skew := 30 * time.Second
		for range 2 + r.IntN(3) {
			g := &gw{offset: time.Duration(r.Int64N(int64(2*skew))) - skew}
			g.ring = openRing(t, store, Config{Now: func() time.Time { return now.Add(g.offset) }, RotateEvery: 2 * time.Hour, Publish: 30 * time.Minute})
			gws = append(gws, g)
		}
		type tok struct {
			kid   string
			by    *gw
			until time.Time // by the clock of its maker
		}
		var live []tok
		publishedAt := map[string]time.Time{}
		ids := map[string]bool{}
		for step := 0; step < 1200; step++ {
			now = now.Add(time.Duration(5+r.IntN(50)) * time.Second)
			for _, g := range gws {
				if now.After(g.next) {
					g.next = now.Add(time.Minute)
					if err := g.ring.Maintain(context.Background()); err != nil {
						t.Fatal(err)
					}
					if step > 20 && r.IntN(300) == 0 {
						if err := g.ring.Rotate(context.Background()); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			for _, g := range gws {
				for _, id := range published(t, g.ring) {
					if _, ok := publishedAt[id]; !ok {
						publishedAt[id] = now
					}
				}
			}
			g := gws[r.IntN(len(gws))]
			_, kid := sign(t, g.ring)
			tokens++
			if !ids[kid] {
				ids[kid] = true
				rotations++
				if len(ids) > 1 && now.Sub(publishedAt[kid]) < 25*time.Minute {
					t.Fatalf("seed %d: key signs %s after it was published first", seed, now.Sub(publishedAt[kid]))
				}
				// does everybody publish it?
				for _, o := range gws {
					if !slices.Contains(published(t, o.ring), kid) {
						t.Fatalf("seed %d: a gateway does not publish the key that another signs with", seed)
					}
				}
			}
			live = append(live, tok{kid, g, now.Add(g.offset).Add(DefaultLifetime)})
			live = slices.DeleteFunc(live, func(k tok) bool {
				done := true
				for _, o := range gws {
					// accepted until its exp + leeway by the own clock
					if !now.Add(o.offset).Before(k.until.Add(Leeway)) {
						continue
					}
					done = false
					checks++
					if !accepts(o.ring, k.kid) {
						t.Fatalf("seed %d: a token is refused by a gateway %s ahead of the one that made it, %s before its end", seed, o.offset-k.by.offset, k.until.Sub(now.Add(o.offset)))
					}
				}
				return done
			})
			for _, o := range gws {
				if l := len(published(t, o.ring)); l > 4 {
					t.Fatalf("seed %d: %d keys", seed, l)
				}
			}
		}
	}
	t.Log(fmt.Sprint(runs, " runs of about 10 hours, ", tokens, " tokens, ", checks, " checks, ", rotations, " keys"))
}
