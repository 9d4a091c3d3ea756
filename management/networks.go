package management

import (
	"fmt"
	"net/netip"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// sourcesWithin reports whether all networks of a list are in those of another;
// none is all addresses.
func sourcesWithin(inner, outer []string) bool {
	if len(outer) == 0 {
		return true
	}
	allowed, err := parseSources(outer)
	wanted, errWanted := parseSources(inner)
	if err != nil || errWanted != nil || len(wanted) == 0 {
		return false
	}
	for _, w := range wanted {
		if !containsNetwork(allowed, w) {
			return false
		}
	}
	return true
}

func containsNetwork(list []netip.Prefix, p netip.Prefix) bool {
	for _, l := range list {
		if l.Bits() <= p.Bits() && l.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// parseSources parses networks, nil if there are none.
func parseSources(list []string) ([]netip.Prefix, error) {
	var from []netip.Prefix
	for _, text := range list {
		p, err := authn.ParseSource(text)
		if err != nil {
			return nil, fmt.Errorf("from: %w", err)
		}
		from = append(from, p)
	}
	return from, nil
}
