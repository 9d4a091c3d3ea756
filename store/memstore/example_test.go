package memstore_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

// A change has a precondition, so that nobody overwrites what they have not
// seen; all gateways hear of it by Watch.
func Example() {
	s := memstore.New()
	defer s.Close()
	ctx, key := context.Background(), store.Key{Kind: "robot", ID: "ci"}

	revision, err := s.Apply(ctx, "default", []store.Change{{Key: key, Data: []byte("{}"), If: store.Precondition{Absent: true}}})
	fmt.Println(revision, err)
	_, err = s.Apply(ctx, "default", []store.Change{{Key: key, Data: []byte("{}"), If: store.Precondition{Absent: true}}})
	fmt.Println(errors.Is(err, store.ErrConflict))

	documents, at, err := s.Load(ctx, "default")
	fmt.Println(len(documents), at.Sequence, err)

	watched, stop := context.WithCancel(ctx)
	err = s.Watch(watched, "default", store.Position{}, func(b store.Batch) {
		fmt.Println("delivered", b.Documents[0].ID, "of revision", b.Documents[0].Revision)
		stop()
	})
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// true
	// 1 1 <nil>
	// delivered ci of revision 1
	// <nil>
}
