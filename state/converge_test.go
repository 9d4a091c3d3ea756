//go:build unix

package state_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/boltstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/pgstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/pgstore/pgtest"
)

// convergeFor is how long gateways change things at once.
const convergeFor = 1500 * time.Millisecond

// converge makes random conditional and unconditional changes of few records on some
// gateways. Afterwards all tables are what the store has, and each increment of a
// counter that was acknowledged is in it.
func converge(t *testing.T, name string, stores ...store.Store) {
	t.Helper()
	var gateways []*state.State
	for _, s := range stores {
		gateways = append(gateways, open(t, s))
	}
	const keys = 6
	var wg sync.WaitGroup
	var puts, deletes, conflicts, counted atomic.Int64
	end := time.Now().Add(convergeFor)
	for g, st := range gateways {
		for w := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), uint64(w)+uint64(time.Now().UnixNano())))
				for time.Now().Before(end) {
					id := fmt.Sprint("k", r.IntN(keys))
					item, ok := st.Sessions.Get(id)
					var tx state.Tx
					kind := r.IntN(4)
					switch {
					case kind == 0:
						state.Delete(&tx, st.Sessions, id, store.Precondition{})
						deletes.Add(1)
					case kind == 1 && ok:
						state.Delete(&tx, st.Sessions, id, state.Unchanged(item))
						deletes.Add(1)
					case ok:
						next := *item.Value
						next.Used = time.Now()
						state.Put(&tx, st.Sessions, id, &next, state.Unchanged(item))
						puts.Add(1)
					default:
						state.Put(&tx, st.Sessions, id, &state.Session{User: id, Expires: time.Now().Add(time.Hour)}, state.Absent)
						puts.Add(1)
					}
					// a counter in the same transaction, sometimes
					count := r.IntN(3) == 0
					if count {
						c, ok := st.Settings.Get("counter")
						n := 0
						cond := state.Absent
						if ok {
							n, _ = strconv.Atoi(c.Value.By)
							cond = state.Unchanged(c)
						}
						state.Put(&tx, st.Settings, "counter", &state.Setting{By: strconv.Itoa(n + 1)}, cond)
					}
					err := st.Commit(context.Background(), &tx)
					switch {
					case errors.Is(err, store.ErrConflict):
						conflicts.Add(1)
					case err != nil:
						t.Error(err)
						return
					case count:
						counted.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	docs, seq, err := stores[0].Load(context.Background(), "default")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{}
	for _, d := range docs {
		want[d.Kind+"/"+d.ID] = d.Revision
	}
	for g, st := range gateways {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := st.CaughtUp(ctx, seq); err != nil {
			t.Fatal(err)
		}
		cancel()
		got := map[string]uint64{}
		for i := range st.Sessions.All() {
			got["session/"+i.ID] = i.Revision
		}
		for i := range st.Settings.All() {
			got["setting/"+i.ID] = i.Revision
		}
		for k, v := range got {
			if want[k] != v {
				t.Errorf("%s gateway %d: %s has revision %d in memory, %d in the store", name, g, k, v, want[k])
			}
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s gateway %d: %s has revision %d in the store, %d in memory", name, g, k, v, got[k])
			}
		}
		if c, ok := st.Settings.Get("counter"); ok && c.Value.By != fmt.Sprint(counted.Load()) {
			t.Errorf("%s: counter %s, %d increments were acknowledged", name, c.Value.By, counted.Load())
		}
	}
	t.Logf("%s: %d gateways, %d puts, %d deletes, %d conflicts, counter %d, sequence %d", name, len(gateways), puts.Load(), deletes.Load(), conflicts.Load(), counted.Load(), seq)
}

// TestGatewaysConverge over every store.
func TestGatewaysConverge(t *testing.T) {
	t.Run("mem", func(t *testing.T) {
		m := memstore.New()
		converge(t, "mem", m, m)
	})
	t.Run("bolt", func(t *testing.T) {
		b, err := boltstore.Open(filepath.Join(t.TempDir(), "s.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Close() }()
		converge(t, "bolt", b, b)
	})
	t.Run("postgres", func(t *testing.T) {
		pg := pgtest.Start(t)
		var list []store.Store
		for range 3 {
			s, err := pgstore.Open(context.Background(), pgstore.Config{DSN: pg.DSN()})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			list = append(list, s)
		}
		converge(t, "postgres", list...)
	})
}
