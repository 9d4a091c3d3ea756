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
	// hashQueue is how many checks may wait for one worker, hashQueueMost how
	// many for all of them: each newcomer is weighed against those who wait.
	hashQueue     = 32
	hashQueueMost = 256
	// hashServed is how many turns are remembered for the sake of fairness.
	hashServed = 64
	// hashSuspect is how many wrong ones among them make an address suspect.
	hashSuspect = 10
	// hashRest is how many times as long as a wrong check took the next one
	// of a suspect address has to wait, at most; hashFloodRest is the same
	// while a flood from there waits. It keeps what a flood costs below one
	// request in a hundred even where there are only two processors.
	hashRest      = 9
	hashFloodRest = 99
	// hashAlike is by how many turns claimants of a flood differ, at most.
	hashAlike = hashSuspect / 2
)

// HashPool bounds how many slow password hashes are computed at a time, so
// that a flood of wrong passwords cannot take the processor from those who
// push and pull. Who waits is served in turn: first the addresses, then the
// accounts that have been wrong the least lately, so that a flood from one
// place or at one account waits behind everybody else, and makes room for them
// when the queue is full. Between the guesses of such a place the workers rest,
// and longer while most of those who wait are alike.
// It is safe for concurrent use; one serves the whole process.
type HashPool struct {
	mu      sync.Mutex
	free    int
	waiting []*hashTurn // the longest waiting first
	limit   int
	wait    time.Duration
	weights []int // of those waiting, while one of them is chosen

	served [hashServed]Claimant // of checks that are under way, or were wrong
	next   int                  // in served
	ended  time.Time            // the last wrong check
	took   time.Duration
	rested *time.Timer // calls arrange when a worker has rested
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
	return &HashPool{free: workers, limit: min(workers*hashQueue, max(workers, hashQueueMost)), wait: hashWait}
}

// Do runs check when the claimant's turn comes; check reports whether the
// secret was right. Do returns [ErrBusy] without having run it when too many
// are waiting or the turn does not come within a second, and the context's
// error when the client has gone meanwhile.
func (p *HashPool) Do(ctx context.Context, who Claimant, check func() bool) error {
	who.From = sourceNetwork(who.From)
	if err := p.acquire(ctx, who); err != nil {
		return err
	}
	right, began := false, time.Now()
	defer func() { p.release(who, right, began) }()
	right = check()
	return nil
}

func (p *HashPool) acquire(ctx context.Context, who Claimant) error {
	turn := p.enter(who)
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

// enter takes a place in the queue, and with luck a worker at once.
func (p *HashPool) enter(who Claimant) *hashTurn {
	p.mu.Lock()
	defer p.mu.Unlock()
	turn := &hashTurn{Claimant: who, decided: make(chan bool, 1)}
	p.waiting = append(p.waiting, turn)
	p.arrange()
	if len(p.waiting) > p.limit {
		// The last of those who have been wrong the most has to go.
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

// arrange gives free workers to those who have been wrong the least, unless
// they have to wait for the workers to rest.
func (p *HashPool) arrange() {
	for p.free > 0 && len(p.waiting) > 0 {
		best, least, flood := p.best()
		if rest := time.Until(p.ended.Add(p.rest(least, flood))); rest > 0 {
			if p.rested == nil {
				p.rested = time.AfterFunc(rest, func() {
					p.mu.Lock()
					defer p.mu.Unlock()
					p.arrange()
				})
			} else {
				p.rested.Reset(rest)
			}
			return
		}
		turn := p.remove(best)
		p.free--
		p.served[p.next] = turn.Claimant
		p.next = (p.next + 1) % hashServed
		turn.decided <- true
	}
}

// best is who of those waiting has been wrong the least, how much that is, and
// whether it is one of a flood: most of the queue is taken by claimants alike.
// Who stands out from a flood, as a colleague at the same address, does not
// rest as long as it.
func (p *HashPool) best() (best, least int, flood bool) {
	least = hashServed*(hashServed+1) + hashServed + 1
	weights := p.weights[:0]
	for i, t := range p.waiting {
		n := p.turns(t.Claimant)
		if weights = append(weights, n); n < least {
			best, least = i, n
		}
	}
	p.weights = weights
	alike := 0
	for _, n := range weights {
		if n-least < hashAlike {
			alike++
		}
	}
	return best, least, alike > p.limit/2
}

// rest is how long after a wrong check a claimant of so many turns may begin.
func (p *HashPool) rest(turns int, flood bool) time.Duration {
	ofAddress, ofAccount := turns/(hashServed+1), turns%(hashServed+1)
	if ofAddress < hashSuspect {
		return 0
	}
	if flood {
		return p.took * hashFloodRest
	}
	return p.took * time.Duration(min(max(ofAccount, 1), hashRest))
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

// release gives a worker back. Who was right is not remembered.
func (p *HashPool) release(who Claimant, right bool, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if right {
		if i := slices.Index(p.served[:], who); i >= 0 {
			p.served[i] = Claimant{}
		}
	} else {
		p.ended = time.Now()
		p.took = p.ended.Sub(began)
	}
	p.arrange()
}

func (p *HashPool) remove(i int) *hashTurn {
	turn := p.waiting[i]
	p.waiting = slices.Delete(p.waiting, i, i+1)
	return turn
}

// turns weighs what a claimant has had lately: any turn of the address weighs
// more than all those of the account there.
func (p *HashPool) turns(who Claimant) (n int) {
	for i := range p.served {
		if p.served[i].From != who.From {
			continue
		}
		if n += hashServed + 1; p.served[i].Account == who.Account {
			n++
		}
	}
	return n
}
