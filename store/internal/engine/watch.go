package engine

import (
	"context"
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

// Watch delivers what read finds after a sequence number, now and each time
// that the bell rings. read returns [store.ErrClosed] once the store is.
func (b *Bell) Watch(ctx context.Context, after uint64, read func(after uint64) (store.Batch, error), deliver func(store.Batch)) error {
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
		if first || batch.Sequence > after {
			deliver(batch)
			after = batch.Sequence
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return nil
		}
	}
}

// Known reports whether all changes after a number are known, of a realm that
// is at sequence and has forgotten deletions up to trimmed; if not, it returns
// [store.ErrGone].
func Known(after, sequence, trimmed uint64) error {
	if after < trimmed || after > sequence {
		return store.ErrGone
	}
	return nil
}
