package portal

import (
	"net/netip"
	"testing"
)

// TestGives: who gives up a place for whom.
func TestGives(t *testing.T) {
	at := func(network, address string, known bool) origin {
		prefix := func(text string) netip.Prefix {
			raw := [4]byte{}
			copy(raw[:], text)
			return netip.PrefixFrom(netip.AddrFrom4(raw), 32)
		}
		return origin{prefix(address), prefix(network), known}
	}
	crowd := []origin{at("a", "a1", false), at("a", "a1", false), at("a", "a2", false), at("b", "b1", false), at("k", "k1", true), at("k", "k1", true), at("k", "k1", true), at("k", "k1", true)}
	for _, test := range []struct {
		name string
		to   origin
		in   []origin
		want int
	}{
		{"nobody waits", at("x", "x1", false), nil, -1},
		{"somebody new", at("x", "x1", false), crowd, 0},
		{"who has one", at("b", "b1", false), crowd, 0},
		{"the largest network, the same address", at("a", "a1", false), crowd, -1},
		{"the largest network, the smaller address", at("a", "a2", false), crowd, 0},
		{"the largest network, a new address", at("a", "a3", false), crowd, 0},
		{"who is known goes before strangers", at("k", "k1", true), crowd, 0},
		{"strangers take nothing from the known", at("x", "x1", false), crowd[4:], -1},
		{"the known share, too", at("y", "y1", true), crowd[4:], 0},
		{"the known share: the same address", at("k", "k1", true), crowd[4:], -1},
		{"all are alone", at("z", "z1", false), []origin{at("x", "x1", false), at("y", "y1", false)}, 0},
		{"all are alone, a second one", at("x", "x1", false), []origin{at("x", "x1", false), at("y", "y1", false)}, -1},
	} {
		if got := gives(test.to, test.in, func(i, j int) bool { return i < j }); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}
