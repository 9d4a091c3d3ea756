package portal

import (
	"net/netip"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

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

// roomFor returns whether one more login may wait for its approval, and which
// of those that wait it replaces; nil: there is room. No address has more than
// its share. When all places are taken, the network that has most of them gives
// one up, so that nobody can take them all: who is alone in a network always
// finds a place, and strangers never take one from an address that somebody is
// signed in from.
func (p *Portal) roomFor(from netip.Addr, now time.Time) (replaced *state.Item[state.DeviceLogin], ok bool) {
	var all []*state.Item[state.DeviceLogin]
	var origins []origin
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
