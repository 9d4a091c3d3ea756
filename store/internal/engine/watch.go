package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Bell wakes the watchers of a store that has only one process. The zero value
// is ready.
type Bell struct {
	mu     sync.Mutex
	rung   chan struct{}
	closed bool
}

// Ring says that something has changed.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}

// Close ends every Watch.
func (b *Bell) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.Ring()
}

// next is closed when the bell rings again.
func (b *Bell) next() (rung <-chan struct{}, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung, b.closed
}

// Watch delivers what read finds after a position, now and each time
// that the bell rings. read returns [store.ErrClosed] once the store is.
func (b *Bell) Watch(ctx context.Context, after store.Position, read func(after store.Position) (store.Batch, error), deliver func(store.Batch)) error {
	for first := true; ; first = false {
		rung, closed := b.next() // before reading: nothing is missed
		if closed || ctx.Err() != nil {
			return nil //nolint:nilerr // this is how a Watch ends
		}
		batch, err := read(after)
		if errors.Is(err, store.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if first || batch.Sequence > after.Sequence {
			deliver(batch)
			after = batch.Position()
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return nil
		}
	}
}

// KeepMarks is for how many changes a store knows their marks. Whoever was away
// for longer loads again.
const KeepMarks = 10_000

// NewMark draws the mark of a change. It fits into 63 bits and is never 0.
func NewMark() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.BigEndian.Uint64(b[:])>>1 | 1
}

// Known reports whether all changes after a position are known, of a realm that
// is at sequence, has forgotten deletions up to trimmed, and has drawn mark for
// the number of the position, 0 if it does not know one. If not, it returns
// [store.ErrGone], or [store.ErrRestored] where the position is, or may be, one
// of another history.
func Known(after store.Position, sequence, trimmed, mark uint64) error {
	switch {
	case after.Sequence > sequence, after.Mark != 0 && after.Mark != mark:
		return store.ErrRestored
	case after.Sequence < trimmed:
		return store.ErrGone
	}
	return nil
}
