package keys_test

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// A ring publishes a new key well before it signs, and takes the old one's
// tokens until the last has ended.
func ExampleRing() {
	now := time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)
	ctx, clock := context.Background(), func() time.Time { return now }
	ring, err := keys.Open(ctx, keys.NewMemoryStore(), keys.Config{Now: clock})
	if err != nil {
		panic(err)
	}
	show := func(when string) {
		for _, k := range ring.ListKeys() {
			fmt.Println(when, k.Algorithm, "signs:", k.Signs, "retired:", !k.RetiredAt.IsZero())
		}
	}
	show("first:")
	if err := ring.Rotate(ctx); err != nil {
		panic(err)
	}
	show("rotated:")
	now = now.Add(2 * time.Hour)
	if err := ring.Maintain(ctx); err != nil {
		panic(err)
	}
	show("later:")
	// Output:
	// first: ES256 signs: true retired: false
	// rotated: ES256 signs: true retired: true
	// rotated: ES256 signs: false retired: false
	// later: ES256 signs: true retired: false
}

// What was sealed for one purpose cannot be opened for another.
func ExampleRing_Seal() {
	ring, err := keys.Open(context.Background(), keys.NewMemoryStore(), keys.Config{})
	if err != nil {
		panic(err)
	}
	sealed, err := ring.Seal("upload", []byte("team-a/app"))
	if err != nil {
		panic(err)
	}
	value, ok := ring.Open("upload", sealed)
	fmt.Printf("%s %v\n", value, ok)
	_, ok = ring.Open("session", sealed)
	fmt.Println(ok)
	// Output:
	// team-a/app true
	// false
}
