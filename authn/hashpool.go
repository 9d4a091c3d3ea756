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
	// hashWait is how long a check waits whose place is over its budget before
	// its client is told to come back, hashPatience how long all others wait:
	// when a gateway has started, everybody comes at once.
	hashWait     = time.Second
	hashPatience = 8 * time.Second
	// hashQueue is how many checks may wait for one worker, hashQueueMost how
	// many for all of them: each newcomer is weighed against those who wait.
	hashQueue     = 32
	hashQueueMost = 256
)

// HashPool bounds how many slow password hashes are computed at a time, and how
// much time wrong ones may take, so that a flood of wrong passwords cannot take
// the processor from those who push and pull. Who waits is served in turn:
// first the addresses, then the accounts that have been wrong the least lately,
// so that a flood from one place or at one account waits behind everybody else,
// and makes room for them when the queue is full. Once the wrong ones of a place
// have taken their time, see [hashBudget], it waits although workers are free.
// It is safe for concurrent use; one serves the whole process.
type HashPool struct {
	mu       sync.Mutex
	free     int
	limit    int
	waiting  []*hashTurn // the longest waiting first
	wait     time.Duration
	patience time.Duration

	lately hashHistory
	budget hashBudget
	alarm  *time.Timer // calls arrange when somebody has waited for the budget
	rings  time.Time   // when that is; zero: it is not set
}

// Claimant is for whom a hash is computed.
type Claimant struct {
	From    netip.Addr // the client's address; with IPv6 its /64 is what counts
	Account string
}

type hashTurn struct {
	Claimant
	decided chan bool // whether the turn has come, or is not going to
	charge  hashCharge
}

// NewHashPool makes a pool that computes workers hashes at a time; with zero,
// one less than the processors that Go uses, and at least one.
func NewHashPool(workers int) *HashPool {
	if workers <= 0 {
		workers = max(runtime.GOMAXPROCS(0)-1, 1)
	}
	return &HashPool{
		free: workers, limit: min(workers*hashQueue, max(workers, hashQueueMost)), wait: hashWait, patience: hashPatience,
		lately: newHashHistory(), budget: newHashBudget(),
	}
}

// Do runs check when the claimant's turn comes; check reports whether the
// secret was right. Do returns [ErrBusy] without having run it when too many
// are waiting or the turn does not come within some seconds, and the context's
// error when the client has gone in the meantime.
func (p *HashPool) Do(ctx context.Context, who Claimant, check func() bool) error {
	who.From = sourceNetwork(who.From)
	turn, err := p.acquire(ctx, who)
	if err != nil {
		return err
	}
	right, began := false, time.Now()
	defer func() { p.release(turn, right, time.Since(began)) }()
	right = check()
	return nil
}

func (p *HashPool) acquire(ctx context.Context, who Claimant) (*hashTurn, error) {
	turn := p.enter(who)
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	for waited := p.wait; ; {
		var why error
		select {
		case granted := <-turn.decided:
			if !granted {
				return nil, fmt.Errorf("%w: %d are waiting", ErrBusy, p.limit)
			}
			return turn, nil
		case <-timer.C:
			if waited < p.patience && p.within(who) {
				waited += p.wait
				timer.Reset(p.wait)
				continue
			}
			why = fmt.Errorf("%w: no turn in time", ErrBusy)
		case <-ctx.Done():
			why = ctx.Err()
		}
		if p.leave(turn) {
			return nil, why
		}
		// It is decided at this very moment.
	}
}

// within reports whether a claimant waits for others and not for its budget.
func (p *HashPool) within(who Claimant) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready(who, time.Now()) <= 0
}

// ready returns how long a claimant has to wait although workers are free.
func (p *HashPool) ready(who Claimant, now time.Time) time.Duration {
	if p.lately.good(who) {
		return 0
	}
	return p.budget.wait(who.From, p.lately.purse(who, now), now)
}

// enter takes a place in the queue, and with luck a worker at once.
func (p *HashPool) enter(who Claimant) *hashTurn {
	p.mu.Lock()
	defer p.mu.Unlock()
	turn := &hashTurn{Claimant: who, decided: make(chan bool, 1)}
	now := time.Now()
	rest := p.ready(who, now)
	switch full := len(p.waiting) >= p.limit; {
	case full && rest > 0:
		turn.decided <- false
		return turn
	case rest > 0: // nobody else's turn has come by that
		p.waiting = append(p.waiting, turn)
		p.wake(now, rest)
		return turn
	}
	p.waiting = append(p.waiting, turn)
	p.arrange()
	if len(p.waiting) > p.limit {
		// The last of those who have been wrong the most has to go.
		worst, most := 0, -1
		for i, t := range p.waiting {
			if n := p.lately.turns(t.Claimant); n >= most {
				worst, most = i, n
			}
		}
		p.remove(worst).decided <- false
	}
	return turn
}

// arrange gives free workers to those who have been wrong the least, of all who
// are within their budgets.
func (p *HashPool) arrange() {
	now := time.Now()
	for p.free > 0 && len(p.waiting) > 0 {
		best, least, soonest := -1, 0, time.Duration(0)
		for i, t := range p.waiting {
			if rest := p.ready(t.Claimant, now); rest > 0 {
				if soonest == 0 || rest < soonest {
					soonest = rest
				}
				continue
			}
			if n := p.lately.turns(t.Claimant); best < 0 || n < least {
				best, least = i, n
			}
		}
		if best < 0 {
			p.wake(now, soonest)
			return
		}
		turn := p.remove(best)
		p.free--
		turn.charge = p.budget.expect(turn.From, p.lately.purse(turn.Claimant, now), now)
		p.lately.served(turn.Claimant, now)
		turn.decided <- true
	}
}

// wake has arrange called in a while, if it is not called earlier anyway.
func (p *HashPool) wake(now time.Time, in time.Duration) {
	at := now.Add(in)
	if !p.rings.IsZero() && !at.Before(p.rings) {
		return
	}
	p.rings = at
	if p.alarm != nil {
		p.alarm.Reset(in)
		return
	}
	p.alarm = time.AfterFunc(in, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.rings = time.Time{}
		p.arrange()
	})
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

// release gives a worker back. Who was right has cost nothing.
func (p *HashPool) release(turn *hashTurn, right bool, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	p.lately.outcome(turn.Claimant, right)
	if right {
		took = 0
	}
	p.budget.settle(turn.charge, took, time.Now())
	p.arrange()
}

func (p *HashPool) remove(i int) *hashTurn {
	turn := p.waiting[i]
	p.waiting = slices.Delete(p.waiting, i, i+1)
	return turn
}

const (
	// hashBurst is how much time wrong checks of one place take before it has
	// to wait, or hashFew checks if these are slower; hashShare is the share
	// of a processor that they may take from then on: one part in so many.
	// There are two purses of each place, so that both together are two parts
	// in a hundred.
	hashBurst = 2 * time.Second
	hashFew   = 8
	hashShare = 100
	// hashPlaces is how many places are remembered that have spent something.
	hashPlaces = 4096
)

// A purse is what a check is paid from. Accounts that have hardly been wrong
// lately are in another one than those at which somebody guesses: a flood at one
// account leaves the colleagues of the same address alone.
type purse int

const (
	purseGuessed purse = iota
	purseOthers
	purses
)

// hashBudget is how much time the wrong checks of each place may take. What is
// spent comes back with time.
type hashBudget struct {
	off    bool // there is no bound
	burst  time.Duration
	places map[netip.Addr]*hashSpent
	usual  time.Duration // what a wrong check took lately
	swept  time.Time     // when places were forgotten last
}

type hashSpent struct {
	spent [purses]time.Duration
	at    time.Time
}

// hashCharge is what a check that is under way has been charged with.
type hashCharge struct {
	from   netip.Addr
	purse  purse
	amount time.Duration
}

func newHashBudget() hashBudget {
	return hashBudget{burst: hashBurst, places: map[netip.Addr]*hashSpent{}}
}

// wait returns how long it takes until a purse has something again.
func (b *hashBudget) wait(from netip.Addr, of purse, now time.Time) time.Duration {
	s := b.places[from]
	if s == nil || b.off {
		return 0
	}
	return (s.left(of, now) - max(b.burst, hashFew*b.usual)) * hashShare
}

// left is what has been spent of a purse and has not come back yet.
func (s *hashSpent) left(of purse, now time.Time) time.Duration {
	return max(0, s.spent[of]-now.Sub(s.at)/hashShare)
}

// expect charges what a check is going to cost, before others can begin that
// would be paid from the same.
func (b *hashBudget) expect(from netip.Addr, of purse, now time.Time) hashCharge {
	c := hashCharge{from, of, b.usual}
	b.spend(c, c.amount, now)
	return c
}

// settle charges what a check has cost instead.
func (b *hashBudget) settle(c hashCharge, took time.Duration, now time.Time) {
	if took > 0 { // one that was quick by chance does not make the others cheap
		b.usual = max(took, b.usual-(b.usual-took)/8)
	}
	b.spend(c, took-c.amount, now)
}

func (b *hashBudget) spend(c hashCharge, amount time.Duration, now time.Time) {
	s := b.places[c.from]
	if s == nil {
		if amount <= 0 || !b.room(now) {
			return
		}
		s = &hashSpent{at: now}
		b.places[c.from] = s
	}
	for p := range s.spent {
		s.spent[p] = s.left(purse(p), now)
	}
	s.at = now
	s.spent[c.purse] = max(0, s.spent[c.purse]+amount)
}

// room makes room for one more place by forgetting those that have all they may
// have. There is none left in a flood from thousands of places, which have more
// than their share anyway.
func (b *hashBudget) room(now time.Time) bool {
	if len(b.places) < hashPlaces {
		return true
	}
	if now.Sub(b.swept) < time.Second {
		return false
	}
	b.swept = now
	for from, s := range b.places {
		if s.left(purseGuessed, now) == 0 && s.left(purseOthers, now) == 0 {
			delete(b.places, from)
		}
	}
	return len(b.places) < hashPlaces
}

const (
	// hashServed is how many turns are remembered for the sake of fairness.
	hashServed = 64
	// hashGuessed is how many wrong ones of an account make it one at which
	// somebody guesses, for hashRecent.
	hashGuessed = 3
	hashRecent  = 15 * time.Minute
	// hashGood is how many are remembered who were right.
	hashGood = 4096
)

// hashHistory remembers who has had turns lately, but for those who were right,
// and who was right when asked last.
type hashHistory struct {
	last  [hashServed]servedTurn // of checks that are under way, or were wrong
	next  int
	place map[netip.Addr]int
	who   map[Claimant]int

	// right are in two generations: when the newer is full, it becomes the
	// older, and the older is forgotten.
	right, rightBefore map[Claimant]bool
}

type servedTurn struct {
	Claimant
	at time.Time // zero: nobody's
}

func newHashHistory() hashHistory {
	return hashHistory{place: map[netip.Addr]int{}, who: map[Claimant]int{}, right: map[Claimant]bool{}}
}

// turns weighs what a claimant has had lately: any turn of the address weighs
// more than all those of the account there.
func (h *hashHistory) turns(who Claimant) int {
	return h.place[who.From]*(hashServed+1) + h.who[who]
}

// good reports whether the claimant was right when asked last.
func (h *hashHistory) good(who Claimant) bool { return h.right[who] || h.rightBefore[who] }

// purse is what the next check of a claimant is paid from.
func (h *hashHistory) purse(who Claimant, now time.Time) purse {
	if h.who[who] < hashGuessed {
		return purseOthers
	}
	recent := 0
	for i := range h.last {
		if t := &h.last[i]; t.Claimant == who && now.Sub(t.at) < hashRecent {
			recent++
		}
	}
	if recent < hashGuessed {
		return purseOthers
	}
	return purseGuessed
}

// served takes note of a turn.
func (h *hashHistory) served(who Claimant, now time.Time) {
	h.forget(h.next)
	h.last[h.next] = servedTurn{who, now}
	h.next = (h.next + 1) % hashServed
	h.place[who.From]++
	h.who[who]++
}

// outcome takes note of what came out of a turn. Who was right has not had one.
func (h *hashHistory) outcome(who Claimant, right bool) {
	if !right {
		delete(h.right, who)
		delete(h.rightBefore, who)
		return
	}
	if len(h.right) >= hashGood {
		h.right, h.rightBefore = map[Claimant]bool{}, h.right
	}
	h.right[who] = true
	for i := range h.last {
		if t := &h.last[i]; t.Claimant == who && !t.at.IsZero() {
			h.forget(i)
			return
		}
	}
}

func (h *hashHistory) forget(i int) {
	t := h.last[i]
	if t.at.IsZero() {
		return
	}
	h.last[i] = servedTurn{}
	if h.place[t.From]--; h.place[t.From] == 0 {
		delete(h.place, t.From)
	}
	if h.who[t.Claimant]--; h.who[t.Claimant] == 0 {
		delete(h.who, t.Claimant)
	}
}
