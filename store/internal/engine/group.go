package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// What is committed together at most. It bounds memory, and how long a caller
// waits for others.
const (
	maxCalls = 256
	maxBytes = 8 << 20
)

// Group makes calls that wait at the same time in one transaction: a commit
// takes as long as the disk needs, whether it holds one change or a hundred.
type Group struct {
	commit func(realm string, calls []*Call) error

	mu      sync.Mutex
	waiting []*Call
	running bool
	closed  bool
	idle    sync.WaitGroup
}

// NewGroup returns a group that is committed by a function. It is never called
// concurrently; its error answers all calls that it was given.
func NewGroup(commit func(realm string, calls []*Call) error) *Group {
	return &Group{commit: commit}
}

// Apply is what [store.Store] asks for.
func (g *Group) Apply(ctx context.Context, realm string, changes []store.Change, history []store.Entry) (uint64, error) {
	if err := Check(realm, changes, history); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, ended(ctx)
	}
	call := &Call{Changes: changes, History: history, realm: realm, done: make(chan struct{})}
	if !g.enqueue(call) {
		return 0, store.ErrClosed
	}
	select {
	case <-call.done:
	case <-ctx.Done():
		if !g.withdraw(call) { // it is being made
			return 0, fmt.Errorf("%w: %w", store.ErrUnknown, context.Cause(ctx))
		}
		return 0, ended(ctx)
	}
	if call.Err != nil {
		return 0, call.Err
	}
	return call.Sequence, nil
}

func (g *Group) enqueue(call *Call) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.waiting = append(g.waiting, call)
	if !g.running {
		g.running = true
		g.idle.Add(1)
		go g.run()
	}
	return true
}

// withdraw takes a call back, and reports whether it was not being made yet.
func (g *Group) withdraw(call *Call) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, call)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	return i >= 0
}

// run makes calls until none is waiting.
func (g *Group) run() {
	defer g.idle.Done()
	for calls := g.next(); calls != nil; calls = g.next() {
		err := g.commit(calls[0].realm, calls)
		for _, c := range calls {
			if err != nil {
				c.Err = err
			}
			close(c.done)
		}
	}
}

// next takes calls of one realm, in their order, or ends the run.
func (g *Group) next() []*Call {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.running = false
		return nil
	}
	var calls, rest []*Call
	bytes := 0
	for _, c := range g.waiting {
		if len(calls) > 0 && (c.realm != calls[0].realm || len(calls) == maxCalls || bytes+c.size() > maxBytes) {
			rest = append(rest, c)
			continue
		}
		calls = append(calls, c)
		bytes += c.size()
	}
	g.waiting = rest
	return calls
}

func (c *Call) size() (n int) {
	for _, d := range c.Changes {
		n += len(d.Data)
	}
	for _, e := range c.History {
		n += len(e.Data)
	}
	return n
}

// Close takes no more calls and waits for those that are under way.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.idle.Wait()
}

// ended is the error of an operation whose context is done.
func ended(ctx context.Context) error {
	return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
}
