package management

import (
	"sync/atomic"
	"time"
)

// testClock is a clock that tests advance while the state in the background
// reads it.
type testClock struct{ unix atomic.Int64 }

func newTestClock(t time.Time) *testClock {
	c := new(testClock)
	c.unix.Store(t.UnixNano())
	return c
}

func (c *testClock) now() time.Time { return time.Unix(0, c.unix.Load()).UTC() }

func (c *testClock) advance(d time.Duration) { c.unix.Add(int64(d)) }
