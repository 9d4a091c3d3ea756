package authn

import (
	"errors"
	"fmt"
	"net/netip"
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

// who is who shows this secret. It is made when it is first asked for: of many
// thousand robots few log in at a gateway.
func (s *robotSecret) who() *Principal {
	if p := s.principal.Load(); p != nil {
		return p
	}
	r := s.robot
	p := &Principal{
		Kind: KindRobot, Name: r.name, Authenticator: RobotsName,
		Credential: "robot_secret", CredentialID: s.id, Expires: r.expires,
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
