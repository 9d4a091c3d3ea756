package authn

import (
	"net/netip"
	"time"
)

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
