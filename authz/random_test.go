package authz

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// random returns random numbers for a property that is held over many cases,
// and whether there is time for more of them: a third of a second, or as long as
// RANDOM says. The seed of a failure is logged, and RANDOM_SEED repeats it.
func random(t *testing.T) (r *rand.Rand, more func() bool) {
	t.Helper()
	seed, limit := uint64(time.Now().UnixNano()), 300*time.Millisecond
	if text := os.Getenv("RANDOM"); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("RANDOM_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("RANDOM_SEED=%d", seed)
		}
	})
	end := time.Now().Add(limit)
	return rand.New(rand.NewPCG(seed, 1)), func() bool { return !t.Failed() && time.Now().Before(end) }
}
