package authn

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
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
	principal Principal // who shows this secret
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
	for _, stored := range c.SecretHashes {
		h, err := ParseHash(strings.TrimSpace(stored))
		if err != nil {
			return wrong(fmt.Errorf("secret_hash: %w", err))
		}
		id := HashID(h)
		r.secrets = append(r.secrets, robotSecret{robot: r, hash: h, id: id, principal: Principal{
			Kind: KindRobot, Name: r.name, Authenticator: RobotsName,
			Credential: "robot_secret", CredentialID: id, Expires: r.expires,
		}})
	}
	return r, nil
}

// EndSecret sets when the nth secret of the declaration stops to be good. It
// must be called before a directory knows the robot.
func (r *Robot) EndSecret(n int, at time.Time) {
	s := &r.secrets[n]
	s.until = at
	if end := s.principal.Expires; end.IsZero() || at.Before(end) {
		s.principal.Expires = at
	}
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
	return slices.ContainsFunc(r.secrets, func(s robotSecret) bool { return s.hash.Slow() })
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
