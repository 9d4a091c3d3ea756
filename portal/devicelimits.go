package portal

import (
	"net/netip"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// maxCounted is how many addresses or people are counted at once.
const maxCounted = 1 << 14

// counter counts what somebody does within a while. It is for slowing down
// guesses and floods; the zero value is ready, and counts on this gateway alone.
type counter struct {
	purpose string
	beside  authn.Tallies // nil: there are no others

	mu    sync.Mutex
	since map[string]time.Time
	count map[string]int
}

// take counts one more, and reports whether that is within the limit.
func (c *counter) take(who string, limit int, now time.Time) bool {
	n := c.add(who, now)
	return n+c.elsewhere(who, n) <= limit
}

// over reports whether the limit is reached, without counting.
func (c *counter) over(who string, limit int, now time.Time) bool {
	return c.counted(who, now)+c.elsewhere(who, 0) >= limit
}

// elsewhere is how often it was done on other gateways, which learn how often here.
func (c *counter) elsewhere(who string, count int) int {
	if c.beside == nil {
		return 0
	}
	return c.beside.Tally(c.purpose, who, count, deviceWindow)
}

// add counts one more and returns how many there are.
func (c *counter) add(who string, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since == nil || len(c.since) >= maxCounted {
		c.prune(now)
	}
	if since, known := c.since[who]; !known || now.Sub(since) > deviceWindow {
		if !known && len(c.since) >= maxCounted {
			return 0 // whoever fills this does not lock others out
		}
		c.since[who], c.count[who] = now, 0
	}
	c.count[who]++
	return c.count[who]
}

// counted returns how many there are.
func (c *counter) counted(who string, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.since[who]) > deviceWindow {
		return 0
	}
	return c.count[who]
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

// addressKey is an address as it is counted: with IPv6 its /64, since whoever has
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

// origin is where a login comes from: an address, the network that it is in,
// and whether somebody is signed in or logged in from that address.
type origin struct {
	address, network netip.Prefix
	known            bool
}

// originOf returns where an address is counted: alone, with IPv6 its /64, for
// who has one address there has all of them; and with its network, the /24 of
// IPv4 and the /48 of IPv6, which is what one customer has.
func originOf(a netip.Addr) (o origin) {
	a = a.Unmap().WithZone("")
	host, network := 32, 24
	if a.Is6() {
		host, network = 64, 48
	}
	o.address, _ = a.Prefix(host) // the zero value if there is no address
	o.network, _ = a.Prefix(network)
	return o
}

// waiting are the logins that wait for approval, as [Portal.roomFor] collects
// them. It looks at all of them, and does so for one client at a time in memory
// that it keeps: thousands who ask at once occupy one processor, and those who
// pull have the others.
type waiting struct {
	mu      sync.Mutex
	all     []*state.Item[state.DeviceLogin]
	origins []origin
}

// roomFor returns whether one more login may wait for its approval, and which
// of those that wait it replaces; nil: there is room. No address has more than
// its share. When all places are taken, the network that has most of them gives
// one up, so that nobody can take them all: who is alone in a network always
// finds a place, and strangers never take one from an address that somebody is
// signed in from.
func (p *Portal) roomFor(from netip.Addr, now time.Time) (replaced *state.Item[state.DeviceLogin], ok bool) {
	p.waiting.mu.Lock()
	defer p.waiting.mu.Unlock()
	all, origins := p.waiting.all[:0], p.waiting.origins[:0]
	defer func() {
		clear(all)
		p.waiting.all, p.waiting.origins = all, origins
	}()
	here, mine := 0, originOf(from)
	for item := range p.options.State.DeviceLogins.All() {
		if v := item.Value; !v.Ended(now) && v.Decision == "" {
			o := originOf(parsedAddress(v.Remote))
			all, origins = append(all, item), append(origins, o)
			if o.address == mine.address {
				here++
			}
		}
	}
	switch {
	case here >= maxPendingFrom:
		return nil, false
	case len(all) < maxPending:
		return nil, true
	}
	known := p.knownAddresses(now)
	mine.known = known[mine.address]
	for i := range origins {
		origins[i].known = known[origins[i].address]
	}
	i := gives(mine, origins, func(i, j int) bool { return all[i].Value.Created.Before(all[j].Value.Created) })
	if i < 0 {
		return nil, false
	}
	return all[i], true
}

// gives returns which of those who wait gives its place to a new one, -1 if
// none has to.
func gives(to origin, waiting []origin, older func(i, j int) bool) int {
	networks, addresses := map[netip.Prefix]int{}, map[netip.Prefix]int{}
	for _, o := range waiting {
		networks[o.network]++
		addresses[o.address]++
	}
	// First strangers, then the largest network, in it the largest address, of
	// which the oldest.
	before := func(i, j int) bool {
		a, b := waiting[i], waiting[j]
		switch {
		case a.known != b.known:
			return !a.known
		case networks[a.network] != networks[b.network]:
			return networks[a.network] > networks[b.network]
		case addresses[a.address] != addresses[b.address]:
			return addresses[a.address] > addresses[b.address]
		}
		return older(i, j)
	}
	first := -1
	for i := range waiting {
		if first < 0 || before(i, first) {
			first = i
		}
	}
	if first < 0 {
		return -1
	}
	victim := waiting[first]
	switch {
	case to.known != victim.known:
		if !to.known {
			return -1
		}
	case to.network == victim.network:
		if addresses[to.address] >= addresses[victim.address] {
			return -1
		}
	case networks[to.network] >= networks[victim.network]:
		return -1
	}
	return first
}

func parsedAddress(text string) netip.Addr {
	a, _ := netip.ParseAddr(text)
	return a
}

// knownAddresses are those from which somebody is signed in with the browser or
// logged in with a client.
func (p *Portal) knownAddresses(now time.Time) map[netip.Prefix]bool {
	known := map[netip.Prefix]bool{}
	add := func(remote string) {
		if o := originOf(parsedAddress(remote)); o.address.IsValid() {
			known[o.address] = true
		}
	}
	for item := range p.options.State.Sessions.All() {
		if !item.Value.Ended(now) {
			add(item.Value.Remote)
		}
	}
	for item := range p.options.State.IdentityTokens.All() {
		add(item.Value.Remote)
	}
	return known
}
