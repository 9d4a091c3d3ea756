package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// TagLocks lets one push at a time change a tag on whose absence its right
// depends: of two that come at once, the second finds the tag taken. Tags that
// nobody pushes take no memory.
type TagLocks struct {
	mu   sync.Mutex
	held map[string]*tagLock
}

type tagLock struct {
	turn    chan struct{} // holds one token while the tag is free
	waiting int           // who holds it or waits for it
}

// NewTagLocks returns locks of which none is held.
func NewTagLocks() *TagLocks { return &TagLocks{held: make(map[string]*tagLock)} }

// lock takes all tags of a repository, in an order that cannot deadlock, and
// returns what gives them back. It fails when the context ends.
func (l *TagLocks) lock(ctx context.Context, repository string, tags []string) (unlock func(), err error) {
	tags = slices.Compact(slices.Sorted(slices.Values(tags)))
	taken := make([]string, 0, len(tags))
	unlock = func() {
		for _, key := range taken {
			l.release(key)
		}
	}
	for _, tag := range tags {
		key := repository + ":" + tag
		if err := l.acquire(ctx, key); err != nil {
			unlock()
			return nil, err
		}
		taken = append(taken, key)
	}
	return unlock, nil
}

func (l *TagLocks) acquire(ctx context.Context, key string) error {
	l.mu.Lock()
	t := l.held[key]
	if t == nil {
		t = &tagLock{turn: make(chan struct{}, 1)}
		t.turn <- struct{}{}
		l.held[key] = t
	}
	t.waiting++
	l.mu.Unlock()
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
		l.leave(key, t)
		return ctx.Err()
	}
}

func (l *TagLocks) release(key string) {
	l.mu.Lock()
	t := l.held[key]
	l.mu.Unlock()
	t.turn <- struct{}{}
	l.leave(key, t)
}

func (l *TagLocks) leave(key string, t *tagLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.waiting--; t.waiting == 0 {
		delete(l.held, key)
	}
}

// TagLeases let one gateway at a time push a tag on whose absence the right
// to push depends: within one process [TagLocks] do that, with less effort.
type TagLeases struct {
	state *state.State
	// lasts is how long a tag is taken from the others if this gateway dies;
	// renewed is how often a lease is renewed while its push lasts.
	lasts, renewed time.Duration
}

// NewTagLeases returns nil for a store that only this process has.
func NewTagLeases(opener store.Opener, s *state.State) *TagLeases {
	if module, ok := opener.(store.Sharer); !ok || !module.Shared() {
		return nil
	}
	return &TagLeases{state: s, lasts: 10 * time.Second, renewed: 3 * time.Second}
}

// errTagLeaseLost ends a push whose tags somebody else may be pushing.
var errTagLeaseLost = errors.New("the gateway lost its hold on the tag")

// leasedTags are tags that a push has taken from other gateways.
type leasedTags struct {
	// push is the context of the push, and ends when a lease does: what is
	// under way must then not go on.
	push   context.Context
	leases []*state.Lease
	end    context.CancelCauseFunc
	free   func()
}

// hold takes the tags of a repository, in an order that cannot deadlock. It
// waits until ctx is done. Push is the context of what is done with them.
func (l *TagLeases) hold(ctx, push context.Context, repository string, tags []string) (*leasedTags, error) {
	held := &leasedTags{}
	if l == nil {
		held.push = push
		return held, nil
	}
	for _, tag := range slices.Compact(slices.Sorted(slices.Values(tags))) {
		lease, err := l.state.AcquireLease(ctx, "tag/"+repository+":"+tag, l.lasts)
		if err != nil {
			l.release(push, held.leases)
			return nil, fmt.Errorf("tag %s: %w", tag, err)
		}
		held.leases = append(held.leases, lease)
	}
	held.push, held.end = context.WithCancelCause(push)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		if err := l.renew(held); err != nil {
			held.end(fmt.Errorf("%w: %w", errTagLeaseLost, err))
		}
	})
	held.free = func() {
		held.end(nil)
		renewing.Wait()
		l.release(push, held.leases)
	}
	return held, nil
}

// release gives the tags back and does not block for long.
func (h *leasedTags) release() {
	if h.free != nil {
		h.free()
	}
}

// left returns for how long nobody else can have one of the tags.
func (h *leasedTags) left() time.Duration {
	left := time.Duration(math.MaxInt64)
	for _, lease := range h.leases {
		left = min(left, lease.Left())
	}
	return left
}

// check is asked right before something is sent for which the tags were taken.
// The process may have been stopped for longer than it holds them.
func (h *leasedTags) check() error {
	if h.left() <= 0 {
		h.end(errTagLeaseLost)
		return errTagLeaseLost
	}
	return nil
}

// renew keeps leases until their push ends. It fails as soon as one is lost, or
// cannot be renewed before it ends.
func (l *TagLeases) renew(h *leasedTags) error {
	tick := time.NewTicker(l.renewed)
	defer tick.Stop()
	deadline := time.AfterFunc(h.left(), func() { _ = h.check() })
	defer deadline.Stop()
	for {
		select {
		case <-h.push.Done():
			return nil
		case <-tick.C:
		}
		if err := h.check(); err != nil {
			return err
		}
		for _, lease := range h.leases {
			limit, cancel := context.WithTimeout(h.push, l.renewed)
			err := lease.Renew(limit)
			cancel()
			if h.push.Err() != nil {
				return nil
			}
			// A store that is away for a moment leaves the lease as it is.
			if errors.Is(err, state.ErrLeaseLost) || err != nil && lease.Left() < l.renewed {
				return err
			}
		}
		deadline.Reset(h.left())
	}
}

// release gives leases back, also if the client has gone. If the store is
// away they end by themselves.
func (l *TagLeases) release(ctx context.Context, leases []*state.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.renewed)
	defer cancel()
	for _, lease := range leases {
		_ = lease.Release(ctx)
	}
}
