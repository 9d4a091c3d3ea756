package upstream

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// held is a value that is fetched when it is needed, kept until it expires,
// and renewed in the background ahead of that. Waiters share a fetch. What was
// fetched last goes on until its end while no other can be had.
type held[T any] struct {
	now   func() time.Time
	fetch func(context.Context) (T, lifetime, error)

	value   atomic.Pointer[kept[T]]
	refused atomic.Int64 // when a value was, in Unix nanoseconds; 0: never
	flight  singleflight.Group
}

// lifetime says how long a value is used: it is renewed from the first time
// on, and not used from the second.
type lifetime struct{ renew, until time.Time }

// livesFor is the lifetime of what expires after a while. It is not used in the
// last twentieth, at most five seconds, so that it does not end on its way, and
// renewed in the background four times as long before the end.
func livesFor(from time.Time, d time.Duration) lifetime {
	margin := min(d/20, 5*time.Second)
	return lifetime{renew: from.Add(d - 4*margin), until: from.Add(d - margin)}
}

type kept[T any] struct {
	value T
	err   error
	lifetime
	got  time.Time
	next atomic.Int64 // when a renewal may start, in Unix nanoseconds
}

// How long a failure is the answer to everybody who asks.
const (
	refusedFor     = 10 * time.Second // also how soon a value is not dropped again
	unavailableFor = time.Second
	fetchTime      = 30 * time.Second
)

// get returns the value.
func (h *held[T]) get(ctx context.Context) (T, error) {
	now := h.now()
	if k := h.value.Load(); k != nil && now.Before(k.until) {
		if next := k.next.Load(); !now.Before(k.renew) && now.UnixNano() >= next && k.next.CompareAndSwap(next, now.Add(unavailableFor).UnixNano()) {
			h.start()
		}
		return k.value, k.err
	}
	select {
	case r := <-h.start():
		k := r.Val.(*kept[T]) //nolint:forcetypeassert // start's own
		return k.value, k.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// start fetches, once for all who wait, and independent of any of them.
func (h *held[T]) start() <-chan singleflight.Result {
	return h.flight.DoChan("", func() (any, error) {
		now := h.now()
		before := h.value.Load()
		if before != nil && now.Before(before.renew) {
			return before, nil // fetched by whoever was first
		}
		ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
		defer cancel()
		k := &kept[T]{got: now}
		if k.value, k.lifetime, k.err = h.fetch(ctx); k.err != nil {
			if before != nil && before.err == nil && h.now().Before(before.until) {
				return before, nil
			}
			now = h.now()
			k.lifetime = failureLifetime(now, k.err)
		}
		h.value.Store(k)
		return k, nil
	})
}

// drop forgets the value if it is as said and of some age: another would be no
// better than one that was just got, and whoever can make a registry refuse could
// make us get one for each request.
func (h *held[T]) drop(age time.Duration, is func(T) bool) {
	k := h.value.Load()
	if k != nil && k.err == nil && is(k.value) && h.now().Sub(k.got) >= age {
		h.value.CompareAndSwap(k, nil)
	}
}

// refuse takes note that the value was not accepted, and reports whether another
// is worth a try: not if it stands in the place of one that was refused a moment
// ago. Then everybody is told so, for a while.
func (h *held[T]) refuse(is func(T) bool, why error) (again bool) {
	k := h.value.Load()
	if k == nil || k.err != nil || !is(k.value) {
		return k == nil || k.err == nil // somebody has replaced it
	}
	now := h.now()
	before := h.refused.Swap(now.UnixNano())
	if before == 0 || now.Sub(time.Unix(0, before)) >= refusedFor {
		h.value.CompareAndSwap(k, nil)
		return true
	}
	h.value.CompareAndSwap(k, &kept[T]{err: why, lifetime: failureLifetime(now, why)})
	return false
}

func failureLifetime(now time.Time, err error) lifetime {
	d := unavailableFor
	if errors.Is(err, ErrRefused) {
		d = refusedFor
	}
	return lifetime{renew: now.Add(d), until: now.Add(d)}
}
