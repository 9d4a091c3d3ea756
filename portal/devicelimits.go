package portal

import (
	"net/netip"
	"sync"
	"time"
)

// maxCounted is how many addresses or people are counted at once.
const maxCounted = 1 << 14

// counter counts what somebody does within a while. It is for slowing down
// guesses and floods on this gateway; the zero value is ready.
type counter struct {
	mu    sync.Mutex
	since map[string]time.Time
	count map[string]int
}

// take counts one more, and reports whether that is within the limit.
func (c *counter) take(who string, limit int, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since == nil || len(c.since) >= maxCounted {
		c.prune(now)
	}
	if since, known := c.since[who]; !known || now.Sub(since) > deviceWindow {
		if !known && len(c.since) >= maxCounted {
			return true // whoever fills this does not lock others out
		}
		c.since[who], c.count[who] = now, 0
	}
	c.count[who]++
	return c.count[who] <= limit
}

// over reports whether the limit is reached, without counting.
func (c *counter) over(who string, limit int, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[who] >= limit && now.Sub(c.since[who]) <= deviceWindow
}

func (c *counter) prune(now time.Time) {
	if c.since == nil {
		c.since, c.count = map[string]time.Time{}, map[string]int{}
	}
	for who, since := range c.since {
		if now.Sub(since) > deviceWindow {
			delete(c.since, who)
			delete(c.count, who)
		}
	}
}

// addressKey is an address as it is counted: with IPv6 its /64, for who has
// one address there has all of them.
func addressKey(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// polls remembers when clients asked last. Only those with a good code are
// remembered.
type polls struct {
	mu   sync.Mutex
	seen map[string]poll
}

type poll struct {
	last     time.Time
	interval time.Duration
}

// take reports whether the client may ask now; if not, it has to wait longer
// from now on (RFC 8628 §3.5).
func (p *polls) take(code string, now time.Time) bool {
	const tolerance = time.Second // networks jitter
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[string]poll{}
	}
	for known, at := range p.seen {
		if len(p.seen) > maxPending && now.Sub(at.last) > deviceWindow {
			delete(p.seen, known)
		}
	}
	at, known := p.seen[code]
	if !known {
		at.interval = pollInterval
	}
	early := known && now.Sub(at.last) < at.interval-tolerance
	if early {
		at.interval += pollInterval
	}
	at.last = now
	p.seen[code] = at
	return !early
}

func (p *polls) forget(code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.seen, code)
}
