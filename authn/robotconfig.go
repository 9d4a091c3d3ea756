package authn

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// RobotConfig declares a robot: a named account for machines.
type RobotConfig struct {
	// The robot's name: lower-case letters and digits, separated by single
	// `.`, `_` or `-`. Clients log in as `robot$NAME`, as `robot-NAME`, which
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

var robotNamePattern = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// maxRobotName is how long a robot's name may be, in bytes.
const maxRobotName = 128

// CheckRobotName returns an error if name is not a name for a robot.
func CheckRobotName(name string) error {
	if len(name) > maxRobotName || !robotNamePattern.MatchString(name) {
		return fmt.Errorf("robot name %.64q: want lower-case letters and digits separated by single '.', '_' or '-', at most %d", name, maxRobotName)
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

// compile checks a declaration and makes the robot that it declares.
func (c RobotConfig) compile() (*robot, error) {
	if err := CheckRobotName(c.Name); err != nil {
		return nil, err
	}
	wrong := func(err error) (*robot, error) { return nil, fmt.Errorf("robot %s: %w", c.Name, err) }
	r := &robot{name: c.Name, disabled: c.Disabled}
	if c.Expires != "" {
		var err error
		if r.expires, err = ParseExpiry(c.Expires); err != nil {
			return wrong(err)
		}
	}
	for _, s := range c.From {
		p, err := ParseSource(s)
		if err != nil {
			return wrong(err)
		}
		r.from = append(r.from, p)
	}
	if len(c.SecretHashes) == 0 {
		return wrong(errors.New("secret_hash is missing"))
	}
	for _, stored := range c.SecretHashes {
		h, err := ParseHash(strings.TrimSpace(stored))
		if err != nil {
			return wrong(fmt.Errorf("secret_hash: %w", err))
		}
		r.secrets = append(r.secrets, robotSecret{robot: r, hash: h, principal: Principal{
			Kind: KindRobot, Name: r.name, Authenticator: RobotsName,
			Credential: "robot_secret", CredentialID: h.ID(), Expires: r.expires,
		}})
	}
	return r, nil
}
