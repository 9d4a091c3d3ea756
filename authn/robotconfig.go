package authn

import (
	"fmt"
	"net/netip"
	"regexp"
	"time"
)

// RobotConfig declares a robot: a named account for machines.
type RobotConfig struct {
	// The robot's name: lower-case letters and digits, separated by single
	// `.`, `_` or `-`; a robot of a project has the project and a `+` before
	// it, as in `team-a+ci`. Clients log in as `robot$NAME`, as `robot-NAME`, which
	// needs no quoting in a shell, or as plain `NAME`.
	Name string `json:"name"`

	// The stored forms of the secrets that the robot may log in with, as
	// `caddy registry-auth new-secret` and `hash-secret` print them
	// (`sha256:…`), or an argon2id or bcrypt hash. Give two while a secret is
	// being replaced. Placeholders such as `{env.CI_ROBOT_HASH}` are allowed.
	SecretHashes []string `json:"secret_hashes"`

	// If true, the robot is refused.
	Disabled bool `json:"disabled,omitempty"`

	// When the robot stops to be accepted: a time as in RFC 3339, or a date,
	// which means the start of that day in UTC. Default: never.
	Expires string `json:"expires,omitempty"`

	// The client addresses from which the robot is accepted, as networks in
	// CIDR notation or as single addresses. Default: from anywhere.
	From []string `json:"from,omitempty"`
}

var robotNamePattern = regexp.MustCompile(`^(?:[a-z0-9]+(?:[._/-][a-z0-9]+)*\+)?[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// maxRobotName is how long a robot's name may be, in bytes.
const maxRobotName = 128

// CheckRobotName returns an error if name is not a name for a robot.
func CheckRobotName(name string) error {
	if len(name) > maxRobotName || !robotNamePattern.MatchString(name) {
		return fmt.Errorf("robot name %.64q: want lower-case letters and digits separated by single '.', '_' or '-', at most %d, with \"<project>+\" before it for a robot of a project", name, maxRobotName)
	}
	return nil
}

// ParseExpiry reads a time as in RFC 3339, or a date, which means the start of
// that day in UTC.
func ParseExpiry(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("expires %.40q: want a date such as 2027-01-31 or a time such as 2027-01-31T18:00:00Z", s)
}

// ParseSource reads a network in CIDR notation or a single address.
func ParseSource(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("from %.64q: want a network such as 10.0.0.0/8 or an address", s)
	case p.Addr().Is4In6() && p.Bits() >= 96:
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("from %.64q: write the network as IPv4 or as IPv6", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("from %.64q: has bits set outside of the network: did you mean %s?", s, p.Masked())
	}
	return p, nil
}
