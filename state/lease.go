package state

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Errors of leases.
var (
	// ErrLeaseHeld: somebody else has the lease.
	ErrLeaseHeld = errors.New("the lease is held by somebody else")
	// ErrLeaseLost: it was not renewed in time, and somebody else has it now.
	ErrLeaseLost = errors.New("the lease was lost")
)

// leaseRecord is a lease as it is stored. Its id is its name.
type leaseRecord struct {
	Holder string `json:"holder"`
	// For is how long it lasts from when it was written.
	For time.Duration `json:"for"`
}

// Lease is the right to do something that only one gateway may do at a time,
// until it ends.
//
// No two clocks are compared. Who waits for a lease measures on its own clock
// how long it has seen it unrenewed, and the holder counts from before it was
// written: they only have to agree on how long a second is, to within a tenth.
// What is done under a lease should still be written with a precondition, or
// sent only after a look at [Lease.Left]: a process that was stopped for a while
// does not know that its lease has ended.
type Lease struct {
	state    *State
	name     string
	holder   string
	unsure   bool // it may have been taken before
	duration time.Duration

	mu       sync.Mutex
	revision uint64
	until    time.Time
}

// TryLease takes a lease if it is free or has ended. [ErrLeaseHeld]: it is not.
func (s *State) TryLease(ctx context.Context, name string, duration time.Duration) (*Lease, error) {
	return s.takeLease(ctx, s.newLease(name, duration))
}

func (s *State) newLease(name string, duration time.Duration) *Lease {
	holder, unsure := s.unsure.take("lease/" + name)
	return &Lease{state: s, name: name, holder: holder, unsure: unsure, duration: duration}
}

// AcquireLease waits for a lease until ctx is done.
func (s *State) AcquireLease(ctx context.Context, name string, duration time.Duration) (*Lease, error) {
	const look = 50 * time.Millisecond
	l := s.newLease(name, duration)
	for {
		got, err := s.takeLease(ctx, l)
		if !errors.Is(err, ErrLeaseHeld) {
			return got, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the lease %q: %w", name, context.Cause(ctx))
		case <-time.After(look):
		}
	}
}

func (s *State) takeLease(ctx context.Context, l *Lease) (*Lease, error) {
	condition := Absent
	if held, ok := s.leases.Get(l.name); ok {
		// One of our own is there if the answer to its writing got lost.
		if held.Value.Holder != l.holder && !s.rivals.ended(held, s.now()) {
			return nil, fmt.Errorf("lease %q: %w", l.name, ErrLeaseHeld)
		}
		condition = Unchanged(held)
	}
	err := l.write(ctx, condition)
	if l.unsure {
		err = l.recognised(ctx, err, func() error { return l.write(ctx, l.unchanged()) })
	}
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil, fmt.Errorf("lease %q: %w", l.name, ErrLeaseHeld)
	case err != nil:
		if errors.Is(err, store.ErrUnavailable) {
			s.unsure.keep("lease/"+l.name, l.holder)
		}
		return nil, fmt.Errorf("lease %q: %w", l.name, err)
	}
	return l, nil
}

// write writes the lease and notes how long it is ours.
func (l *Lease) write(ctx context.Context, condition store.Precondition) error {
	start := l.state.now()
	var tx Tx
	Put(&tx, l.state.leases, l.name, &leaseRecord{Holder: l.holder, For: l.duration}, condition)
	if err := l.state.Commit(ctx, &tx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision, l.until = tx.sequence, start.Add(l.duration)
	return nil
}

// Until returns when the lease ends if it is not renewed.
func (l *Lease) Until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// Left returns for how long the lease is held for certain. It goes by the clock
// that has gone further since: one of the machine's two stands still while a
// virtual machine is paused, the other may be set back.
func (l *Lease) Left() time.Duration {
	until, now := l.Until(), l.state.now()
	return min(until.Sub(now), until.Round(0).Sub(now.Round(0)))
}

// Renew makes the lease last its duration from now on.
func (l *Lease) Renew(ctx context.Context) error {
	return l.change(ctx, func() error { return l.write(ctx, l.unchanged()) })
}

// Release gives the lease back.
func (l *Lease) Release(ctx context.Context) error {
	return l.change(ctx, func() error {
		var tx Tx
		Delete(&tx, l.state.leases, l.name, l.unchanged())
		err := l.state.Commit(ctx, &tx)
		var conflict *store.ConflictError
		if errors.As(err, &conflict) && conflict.Revision == 0 {
			return nil // the answer to giving it back got lost
		}
		return err
	})
}

// change changes the record of the lease. If that is not as it was left here, the
// answer to a change of our own may have got lost: then it is still ours.
func (l *Lease) change(ctx context.Context, do func() error) error {
	err := l.recognised(ctx, do(), do)
	switch {
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("lease %q: %w", l.name, ErrLeaseLost)
	case err != nil:
		return fmt.Errorf("lease %q: %w", l.name, err)
	}
	return nil
}

// recognised does something again if it failed because this very lease is in the
// way.
func (l *Lease) recognised(ctx context.Context, err error, again func() error) error {
	var conflict *store.ConflictError
	if errors.As(err, &conflict) && conflict.Revision != 0 && l.state.CaughtUp(ctx, conflict.Revision) == nil && l.recognise() {
		return again()
	}
	return err
}

// recognise reports whether the stored lease is this one.
func (l *Lease) recognise() bool {
	item, ok := l.state.leases.Get(l.name)
	if !ok || item.Value.Holder != l.holder {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision = item.Revision
	return true
}

func (l *Lease) unchanged() store.Precondition {
	l.mu.Lock()
	defer l.mu.Unlock()
	return store.Precondition{Revision: l.revision}
}

// rivals remembers since when others have been seen to hold leases.
type rivals struct {
	mu   sync.Mutex
	seen map[string]sighting
}

type sighting struct {
	revision uint64
	since    time.Time
}

// follow forgets leases that were given back.
func (r *rivals) follow(t *Table[leaseRecord]) {
	t.onChange(func(before, after *Item[leaseRecord]) {
		if after != nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.seen, before.ID)
	})
}

// ended reports whether a lease of somebody else has ended: it was seen
// unrenewed for its duration and a tenth.
func (r *rivals) ended(held *Item[leaseRecord], now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.seen[held.ID]
	if !known || at.revision != held.Revision {
		if r.seen == nil {
			r.seen = map[string]sighting{}
		}
		r.seen[held.ID] = sighting{held.Revision, now}
		return false
	}
	return now.Sub(at.since) > held.Value.For+held.Value.For/10
}

// CaughtUp waits until everything up to a sequence number, of all gateways, is
// in the tables: what is read then is no older than that.
func (s *State) CaughtUp(ctx context.Context, sequence uint64) error {
	const look = 5 * time.Millisecond
	for s.seen.Load() < sequence {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: waiting for the changes of others: %w", store.ErrUnavailable, context.Cause(ctx))
		case <-time.After(look):
		}
	}
	return nil
}
