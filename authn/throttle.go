package authn

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A wrong secret is a strike; trying the same wrong secret again, as a client
// does whose configuration is out of date, is no further guess.
const (
	strikeLimit   = 10
	strikeMost    = 100              // beyond which nothing is counted
	strikeWindow  = 15 * time.Minute // without a failure, all is forgotten
	strikeSecrets = 4                // wrong secrets remembered of one account

	throttleFirst = time.Second
	throttleMost  = 5 * time.Minute
)

const (
	throttleShards   = 64
	throttlePerShard = 512 // of the newer generation; the older has as many
)

// Throttle counts failed password attempts by client address and account. It
// changes how failures are answered and nothing else: a right password is
// never refused because of wrong ones, so that nobody can lock out a robot or
// a colleague. What limits guessing is that each guess is still checked in a
// [HashPool] or against 256 random bits. Memory is bounded: about 64,000
// accounts under attack are remembered, the longest quiet are forgotten first.
// It is safe for concurrent use, and not touched by requests that succeed.
type Throttle struct {
	now    func() time.Time
	mac    *processMAC
	shards [throttleShards]throttleShard
}

// throttleShard keeps two generations: when the newer is full it becomes the
// older, and the older is dropped.
type throttleShard struct {
	mu           sync.Mutex
	newer, older map[uint64]strikes
}

type strikes struct {
	count   int
	last    time.Time
	secrets [strikeSecrets]uint64 // keyed digests, the newest first
}

// NewThrottle makes a throttle; now is the clock, nil for the real one.
func NewThrottle(now func() time.Time) *Throttle {
	if now == nil {
		now = time.Now
	}
	return &Throttle{now: now, mac: newProcessMAC()}
}

// Failed takes note of an attempt that failed with err and returns what to
// answer: err, or a [*ThrottledError] around it after about ten different
// wrong passwords for one account from one address. Only [ErrInvalid] counts:
// all other failures either prove that the secret was known or are ours.
// Bearer tokens do not count, for nobody can guess one.
func (t *Throttle) Failed(c *Credential, err error) error {
	if c.Scheme != SchemeBasic || !errors.Is(err, ErrInvalid) {
		return err
	}
	account := t.mac.sum("account", sourceOf(c.Remote), c.robots.account(c.Username))
	secret := t.mac.sum("secret", c.Secret)
	over := t.strike(binary.LittleEndian.Uint64(account[:]), binary.LittleEndian.Uint64(secret[:]))
	if over <= 0 {
		return err
	}
	delay := throttleMost
	if doublings := over - 1; doublings < 9 {
		delay = min(throttleFirst<<doublings, throttleMost)
	}
	return &ThrottledError{RetryAfter: delay, Err: err}
}

// strike adds a failure and returns by how much the limit is exceeded.
func (t *Throttle) strike(account, secret uint64) int {
	now := t.now()
	shard := &t.shards[account%throttleShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()

	s, ok := shard.newer[account]
	if !ok {
		s = shard.older[account]
	}
	if now.Sub(s.last) > strikeWindow || now.Before(s.last) {
		s = strikes{}
	}
	if !slices.Contains(s.secrets[:], secret) {
		s.count = min(s.count+1, strikeMost)
		copy(s.secrets[1:], s.secrets[:])
		s.secrets[0] = secret
	}
	s.last = now
	if !ok && len(shard.newer) >= throttlePerShard {
		shard.older, shard.newer = shard.newer, nil
	}
	if shard.newer == nil {
		shard.newer = make(map[uint64]strikes)
	}
	shard.newer[account] = s
	return s.count - strikeLimit
}

// sourceOf is the address by which a client is counted: with IPv6 its /64,
// for who has one address there has all of them.
func sourceOf(a netip.Addr) string { return sourceNetwork(a).String() }

func sourceNetwork(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
