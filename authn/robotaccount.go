package authn

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Robot is a robot that can log in: a compiled [RobotConfig]. It is immutable
// once a directory knows it.
type Robot struct {
	name     string
	disabled bool
	expires  time.Time
	from     []netip.Prefix
	secrets  []robotSecret
}

type robotSecret struct {
	robot     *Robot
	hash      Hash
	id        string    // public, also of a hash that has none itself
	until     time.Time // when it stops to be good; zero: with the robot
	principal atomic.Pointer[Principal]
}

// credentialRobotSecret is the [Principal.Credential] of a robot with its secret.
const credentialRobotSecret = "robot_secret"

// who is who shows this secret. It is made when it is first asked for: of many
// thousand robots few log in at a gateway.
func (s *robotSecret) who() *Principal {
	if p := s.principal.Load(); p != nil {
		return p
	}
	r := s.robot
	p := &Principal{
		Kind: KindRobot, Name: r.name, Authenticator: RobotsName,
		Credential: credentialRobotSecret, CredentialID: s.id, Expires: r.expires,
	}
	if !s.until.IsZero() && (p.Expires.IsZero() || s.until.Before(p.Expires)) {
		p.Expires = s.until
	}
	s.principal.CompareAndSwap(nil, p)
	return s.principal.Load()
}

// NewRobot checks a declaration and makes the robot that it declares. Errors
// name the robot and the field, never a hash.
func NewRobot(c RobotConfig) (*Robot, error) {
	if err := CheckRobotName(c.Name); err != nil {
		return nil, err
	}
	wrong := func(err error) (*Robot, error) { return nil, fmt.Errorf("robot %s: %w", c.Name, err) }
	r := &Robot{name: c.Name, disabled: c.Disabled}
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
	r.secrets = make([]robotSecret, len(c.SecretHashes))
	for i, stored := range c.SecretHashes {
		h, err := ParseHash(strings.TrimSpace(stored))
		if err != nil {
			return wrong(fmt.Errorf("secret_hash: %w", err))
		}
		secret := &r.secrets[i]
		secret.robot, secret.hash, secret.id = r, h, HashID(h)
	}
	if cost := HashCost(r.SlowHashes()); cost > maxRobotCost {
		return wrong(fmt.Errorf("secret_hash: all hashes together take about %.1f s for each wrong password, more than %.1f s", cost/1000, maxRobotCost/1000.))
	}
	return r, nil
}

// What the slow hashes of one robot may cost together, in milliseconds: each
// wrong password, and each name that no robot has, takes as long.
// [MaxStoredRobotCost] is for robots that others than the administrator of the
// gateway make.
const (
	maxRobotCost       = 4100 // one bcrypt hash of cost 16
	MaxStoredRobotCost = 1050 // one of cost 14, four of cost 12
)

// EndSecret sets when the nth secret of the declaration stops to be good. It
// must be called before a directory knows the robot.
func (r *Robot) EndSecret(n int, at time.Time) {
	r.secrets[n].until = at
}

// Name returns the robot's name.
func (r *Robot) Name() string { return r.name }

// SecretIDs returns the public ids of the robot's secrets that have one.
func (r *Robot) SecretIDs() []string {
	var ids []string
	for i := range r.secrets {
		if id := r.secrets[i].hash.ID(); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// SlowHashes returns the hashes of the robot's secrets that a person may have
// chosen.
func (r *Robot) SlowHashes() []Hash {
	var slow []Hash
	for i := range r.secrets {
		if h := r.secrets[i].hash; h.Slow() {
			slow = append(slow, h)
		}
	}
	return slow
}

// secret returns the robot's secret with that public id, nil if it has none.
func (r *Robot) secret(id string) *robotSecret {
	if r == nil {
		return nil
	}
	for i := range r.secrets {
		if r.secrets[i].id == id {
			return &r.secrets[i]
		}
	}
	return nil
}

// alive says whether a secret is still good at a time.
func (s *robotSecret) alive(now time.Time) error {
	if !s.until.IsZero() && !now.Before(s.until) {
		return fmt.Errorf("%w: secret of robot %s, replaced on %s", ErrExpired, s.robot.name, s.until.Format(time.RFC3339))
	}
	return nil
}

// admits says whether the robot is accepted at a time and from an address.
func (r *Robot) admits(remote netip.Addr, now time.Time) error {
	switch {
	case r.disabled:
		return fmt.Errorf("%w: robot %s", ErrDisabled, r.name)
	case !r.expires.IsZero() && !now.Before(r.expires):
		return fmt.Errorf("%w: robot %s on %s", ErrExpired, r.name, r.expires.Format(time.RFC3339))
	case r.from != nil && !Contains(r.from, remote):
		return fmt.Errorf("%w: robot %s from %s", ErrForbiddenSource, r.name, remote)
	}
	return nil
}

func (r *Robot) hasSlow() bool {
	for i := range r.secrets {
		if r.secrets[i].hash.Slow() {
			return true
		}
	}
	return false
}

// Contains reports whether an address is in one of the networks.
func Contains(networks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// HashCost estimates how long a list of hashes takes, in milliseconds.
func HashCost(list []Hash) float64 {
	sum := 0.0
	for _, h := range list {
		sum += h.cost()
	}
	return sum
}

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
