package authn

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// hashWait is how long a check waits for its turn before its client is
	// told to come back.
	hashWait = time.Second
	// hashQueue is how many checks may wait for one worker.
	hashQueue = 32
)

// HashPool bounds how many slow password hashes are computed at a time, so
// that a flood of wrong passwords cannot take the processor from those who
// push and pull. It is safe for concurrent use; one serves the whole process.
type HashPool struct {
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
	wait    time.Duration
}

// NewHashPool makes a pool that computes workers hashes at a time; with zero,
// one less than the processors that Go uses, and at least one.
func NewHashPool(workers int) *HashPool {
	if workers <= 0 {
		workers = max(runtime.GOMAXPROCS(0)-1, 1)
	}
	return &HashPool{slots: make(chan struct{}, workers), queue: int64(workers * hashQueue), wait: hashWait}
}

// Do runs compute when its turn comes. It returns [ErrBusy] without having run
// it when too many are waiting or the turn does not come within a second, and
// the context's error when the client has gone meanwhile.
func (p *HashPool) Do(ctx context.Context, compute func()) error {
	if err := p.acquire(ctx); err != nil {
		return err
	}
	defer func() { <-p.slots }()
	compute()
	return nil
}

func (p *HashPool) acquire(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	if p.waiting.Add(1) > p.queue {
		p.waiting.Add(-1)
		return fmt.Errorf("%w: %d are waiting", ErrBusy, p.queue)
	}
	defer p.waiting.Add(-1)
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: no turn within %s", ErrBusy, p.wait)
	case <-ctx.Done():
		return ctx.Err()
	}
}
