//go:build unix

package pgstore

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/pgstore/pgtest"
)

// TestWhateverTheIsolationLevel of the database is, gateways that count on one
// document at once are in each other's way and never fail otherwise, and each
// count that was acknowledged is there.
func TestWhateverTheIsolationLevel(t *testing.T) {
	const gateways, clients, turns = 3, 4, 25
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			pg := pgtest.Start(t, "default_transaction_isolation="+level)
			key := store.Key{Kind: "setting", ID: "counter"}
			var counted atomic.Int64
			var group sync.WaitGroup
			var first *Store
			for range gateways {
				s := open(t, Config{DSN: pg.DSN()})
				first = s
				read := func() (n int, revision uint64) {
					documents, _, err := s.Load(context.Background(), "default")
					if err != nil {
						t.Error(err)
					}
					for _, d := range documents {
						n, _ = strconv.Atoi(string(d.Data))
						revision = d.Revision
					}
					return n, revision
				}
				for range clients {
					group.Go(func() {
						for range turns {
							n, revision := read()
							_, err := s.Apply(context.Background(), "default", []store.Change{{
								Key: key, Data: []byte(strconv.Itoa(n + 1)), If: store.Precondition{Absent: revision == 0, Revision: revision},
							}})
							switch {
							case err == nil:
								counted.Add(1)
							case !errors.Is(err, store.ErrConflict):
								t.Error(err)
								return
							}
							if err := s.Trim(context.Background(), "default", ""); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
			}
			group.Wait()
			documents, _, err := first.Load(context.Background(), "default")
			if err != nil || len(documents) != 1 || string(documents[0].Data) != strconv.FormatInt(counted.Load(), 10) {
				t.Errorf("the counter is %v, %d were acknowledged, %v", documents, counted.Load(), err)
			}
		})
	}
}
