package authn

import (
	"net/netip"
	"time"
)

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
