package authn

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// hashWait is how long a check waits for its turn before its client is
	// told to come back.
	hashWait = time.Second
	// hashQueue is how many checks may wait for one worker.
	hashQueue = 32
	// hashServed is how many turns are remembered for the sake of fairness.
	hashServed = 64
)

// HashPool bounds how many slow password hashes are computed at a time, so
// that a flood of wrong passwords cannot take the processor from those who
// push and pull. Who waits is served in turn: first the addresses, then the
// accounts that have had the fewest turns lately, so that a flood from one
// place or at one account waits behind everybody else, and makes room for them
// when the queue is full. It is safe for concurrent use; one serves the whole
// process.
type HashPool struct {
	mu      sync.Mutex
	free    int
	waiting []*hashTurn // the longest waiting first
	limit   int
	served  [hashServed]Claimant
	next    int // in served
	wait    time.Duration
}

// Claimant is for whom a hash is computed.
type Claimant struct {
	From    netip.Addr // the client's address; with IPv6 its /64 is what counts
	Account string
}

type hashTurn struct {
	Claimant
	decided chan bool // whether the turn has come, or is not going to
}

// NewHashPool makes a pool that computes workers hashes at a time; with zero,
// one less than the processors that Go uses, and at least one.
func NewHashPool(workers int) *HashPool {
	if workers <= 0 {
		workers = max(runtime.GOMAXPROCS(0)-1, 1)
	}
	return &HashPool{free: workers, limit: workers * hashQueue, wait: hashWait}
}

// Do runs compute when the claimant's turn comes. It returns [ErrBusy] without
// having run it when too many are waiting or the turn does not come within a
// second, and the context's error when the client has gone meanwhile.
func (p *HashPool) Do(ctx context.Context, who Claimant, compute func()) error {
	who.From = sourceNetwork(who.From)
	if err := p.acquire(ctx, who); err != nil {
		return err
	}
	defer p.release()
	compute()
	return nil
}

func (p *HashPool) acquire(ctx context.Context, who Claimant) error {
	turn := p.enter(who)
	if turn == nil {
		return nil
	}
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case granted := <-turn.decided:
		if !granted {
			return fmt.Errorf("%w: %d are waiting", ErrBusy, p.limit)
		}
		return nil
	case <-timer.C:
		if p.leave(turn) {
			return fmt.Errorf("%w: no turn within %s", ErrBusy, p.wait)
		}
	case <-ctx.Done():
		if p.leave(turn) {
			return ctx.Err()
		}
	}
	if granted := <-turn.decided; !granted { // at that very moment
		return fmt.Errorf("%w: %d are waiting", ErrBusy, p.limit)
	}
	return nil
}

// enter takes a free worker, and returns nil, or a place in the queue.
func (p *HashPool) enter(who Claimant) *hashTurn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free > 0 {
		p.free--
		p.remember(who)
		return nil
	}
	turn := &hashTurn{Claimant: who, decided: make(chan bool, 1)}
	p.waiting = append(p.waiting, turn)
	if len(p.waiting) > p.limit {
		// The last of those who have had the most has to go.
		worst, most := 0, -1
		for i, t := range p.waiting {
			if n := p.turns(t.Claimant); n >= most {
				worst, most = i, n
			}
		}
		p.remove(worst).decided <- false
	}
	return turn
}

// leave gives up a place in the queue; it cannot be given up twice.
func (p *HashPool) leave(turn *hashTurn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting, turn)
	if i >= 0 {
		p.remove(i)
	}
	return i >= 0
}

// release hands a worker on, to the first of those who have had the least.
func (p *HashPool) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.free++
		return
	}
	best, least := 0, hashServed*(hashServed+1)
	for i, t := range p.waiting {
		if n := p.turns(t.Claimant); n < least {
			best, least = i, n
		}
	}
	turn := p.remove(best)
	p.remember(turn.Claimant)
	turn.decided <- true
}

func (p *HashPool) remove(i int) *hashTurn {
	turn := p.waiting[i]
	p.waiting = slices.Delete(p.waiting, i, i+1)
	return turn
}

func (p *HashPool) remember(who Claimant) {
	p.served[p.next] = who
	p.next = (p.next + 1) % hashServed
}

// turns weighs what a claimant has had lately: any turn of the address weighs
// more than all those of the account there.
func (p *HashPool) turns(who Claimant) int {
	n := 0
	for i := range p.served {
		if p.served[i].From != who.From {
			continue
		}
		if n += hashServed; p.served[i].Account == who.Account {
			n++
		}
	}
	return n
}
