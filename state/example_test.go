package state_test

import (
	"context"
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// A table is read without a lock; it changes by committed transactions, its
// own process's at once and those of others within a second.
func ExampleTable() {
	ctx := context.Background()
	s, err := state.Open(ctx, memstore.New(), "default", state.Options{})
	if err != nil {
		panic(err)
	}
	defer s.Close()

	var tx state.Tx
	state.Put(&tx, s.Robots, "team-a+ci", &state.Robot{Name: "team-a+ci"}, state.Absent)
	fmt.Println(s.Commit(ctx, &tx))

	item, ok := s.Robots.Get("team-a+ci")
	fmt.Println(item.Value.Name, ok)
	for item := range s.Robots.All() {
		fmt.Println(s.Robots.Kind(), item.ID)
	}
	// Output:
	// <nil>
	// team-a+ci true
	// robot team-a+ci
}
