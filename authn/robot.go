package authn

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// RobotsName is the name by which a [Chain] must know its [Robots].
const RobotsName = "robots"

// Robots authenticates robots by their secrets. What it costs does not depend
// on how many there are. It is safe for concurrent use.
type Robots struct {
	byName map[string]*robot
	byID   map[string]*robotSecret // by the public part of a secret of ours
	slow   []Hash                  // a robot's slow hashes, for the time of a wrong password

	pool  *HashPool
	cache *VerifiedCache
	now   func() time.Time
}

// robot is a compiled [RobotConfig].
type robot struct {
	name     string
	disabled bool
	expires  time.Time
	from     []netip.Prefix
	secrets  []robotSecret
}

type robotSecret struct {
	robot     *robot
	hash      Hash
	principal Principal // who shows this secret
}

// NewRobots makes the authenticator of the declared robots. Slow hashes are
// computed in pool and remembered in cache; both may be shared, and may be nil
// for ones of its own. now is the clock, nil for the real one. Errors name the
// robot and the field, never a hash.
func NewRobots(list []RobotConfig, pool *HashPool, cache *VerifiedCache, now func() time.Time) (*Robots, error) {
	rs := &Robots{
		byName: make(map[string]*robot, len(list)), byID: make(map[string]*robotSecret, len(list)),
		pool: pool, cache: cache, now: now,
	}
	if pool == nil {
		rs.pool = NewHashPool(0)
	}
	if cache == nil {
		rs.cache = NewVerifiedCache()
	}
	if now == nil {
		rs.now = time.Now
	}
	for _, c := range list {
		r, err := c.compile()
		if err != nil {
			return nil, err
		}
		if err := rs.add(r); err != nil {
			return nil, err
		}
	}
	for name := range rs.byName {
		if short, ok := strings.CutPrefix(name, "robot-"); ok && rs.byName[short] != nil {
			return nil, fmt.Errorf("robots %s and %s: both would log in as %s", short, name, name)
		}
	}
	return rs, nil
}

func (rs *Robots) add(r *robot) error {
	if rs.byName[r.name] != nil {
		return fmt.Errorf("robot %s: declared twice", r.name)
	}
	rs.byName[r.name] = r
	var slow []Hash
	for i := range r.secrets {
		h := r.secrets[i].hash
		if h.Slow() {
			slow = append(slow, h)
			continue
		}
		if other := rs.byID[h.ID()]; other != nil {
			return fmt.Errorf("robot %s: secret_hash: robot %s has a secret with the same id", r.name, other.robot.name)
		}
		rs.byID[h.ID()] = &r.secrets[i]
	}
	if hashCost(slow) > hashCost(rs.slow) {
		rs.slow = slow
	}
	return nil
}

// Authenticate implements [Authenticator]. It owns secrets of ours that are
// made for robots, by Basic or Bearer, user names that begin with "robot$",
// and passwords of users who are called as a robot is; but not ID tokens or
// other secrets of ours that come with such a name.
func (rs *Robots) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	var s *robotSecret
	var err error
	kind, isSecret := secretKind(c.Secret)
	switch {
	case isSecret && kind == SecretRobot:
		s, err = rs.bySecret(c)
	case c.Scheme != SchemeBasic:
		return nil, ErrNotMine
	case isSecret || looksLikeJWT(c.Secret):
		// The shape says more than the name, unless it can only be a robot's.
		if !strings.HasPrefix(c.Username, robotPrefix) {
			return nil, ErrNotMine
		}
	default:
		r := rs.byLogin(c.Username)
		if r == nil && !strings.HasPrefix(c.Username, robotPrefix) {
			return nil, ErrNotMine
		}
		s, err = rs.byPassword(ctx, r, c)
	}
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, fmt.Errorf("%w: no such robot or wrong secret", ErrInvalid)
	}
	// Only who knows the secret learns what state the robot is in.
	if err := s.robot.admits(c.Remote, rs.now()); err != nil {
		return nil, err
	}
	return &s.principal, nil
}

// bySecret finds a secret of ours, which costs a SHA-256. With Basic the user
// name must be that of the robot.
func (rs *Robots) bySecret(c *Credential) (*robotSecret, error) {
	parsed, err := parseSecret(c.Secret)
	if err != nil {
		return nil, err
	}
	s := rs.byID[parsed.ID]
	if s == nil || !s.hash.Matches(c.Secret) {
		return nil, nil
	}
	if c.Scheme == SchemeBasic && rs.byLogin(c.Username) != s.robot {
		return nil, nil
	}
	return s, nil
}

// byPassword compares a password with the slow hashes of r, who is nil if
// there is no such robot. It costs a slow hash, where any robot has one,
// whether the robot exists or not.
func (rs *Robots) byPassword(ctx context.Context, r *robot, c *Credential) (*robotSecret, error) {
	if r == nil || !r.hasSlow() {
		return nil, rs.Equalize(ctx, c)
	}
	for i := range r.secrets {
		s := &r.secrets[i]
		if !s.hash.Slow() {
			continue
		}
		if ok, err := rs.slowMatch(ctx, r.name, c.Secret, s.hash); ok || err != nil {
			return s, err
		}
	}
	return nil, nil
}

// Equalize implements [Equalizer].
func (rs *Robots) Equalize(ctx context.Context, c *Credential) error {
	if _, isSecret := secretKind(c.Secret); isSecret || looksLikeJWT(c.Secret) || c.Scheme != SchemeBasic {
		return nil // nobody guesses these
	}
	for _, h := range rs.slow {
		if _, err := rs.slowMatch(ctx, c.Username, c.Secret, h); err != nil {
			return err
		}
	}
	return nil
}

func (rs *Robots) slowMatch(ctx context.Context, name, secret string, h Hash) (bool, error) {
	ok, err := rs.cache.Verify(ctx, rs.pool, Check{Kind: "robot", User: name, Secret: secret, Hash: h})
	if err != nil && ctx.Err() != nil {
		return false, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return ok, err
}

// Recheck implements [Rechecker]: the robot must still exist, be enabled and
// accepted from the client's address.
func (rs *Robots) Recheck(p *Principal, c *Credential) error {
	r := rs.byName[p.Name]
	if r == nil || p.Kind != KindRobot {
		return fmt.Errorf("%w: robot %s does not exist any more", ErrDisabled, p.Name)
	}
	if p.Origin != "" && !slices.ContainsFunc(r.secrets, func(s robotSecret) bool { return s.hash.ID() == p.OriginID }) {
		return fmt.Errorf("%w: robot %s does not have this secret any more", ErrDisabled, p.Name)
	}
	return r.admits(c.Remote, rs.now())
}

// AdmitRobot returns an error if a robot of this name is declared and not
// accepted now or from this address. A name that nobody declared has no state
// that could forbid it.
func (rs *Robots) AdmitRobot(name string, remote netip.Addr) error {
	if r := rs.byName[name]; r != nil {
		return r.admits(remote, rs.now())
	}
	return nil
}

// admits says whether the robot is accepted at a time and from an address.
func (r *robot) admits(remote netip.Addr, now time.Time) error {
	switch {
	case r.disabled:
		return fmt.Errorf("%w: robot %s", ErrDisabled, r.name)
	case !r.expires.IsZero() && !now.Before(r.expires):
		return fmt.Errorf("%w: robot %s on %s", ErrExpired, r.name, r.expires.Format(time.RFC3339))
	case r.from != nil:
		remote = remote.Unmap().WithZone("")
		if !slices.ContainsFunc(r.from, func(p netip.Prefix) bool { return p.Contains(remote) }) {
			return fmt.Errorf("%w: robot %s from %s", ErrForbiddenSource, r.name, remote)
		}
	}
	return nil
}

func (r *robot) hasSlow() bool {
	return slices.ContainsFunc(r.secrets, func(s robotSecret) bool { return s.hash.Slow() })
}

// robotPrefix begins the login name that can only be a robot's.
const robotPrefix = "robot$"

// byLogin finds a robot by one of its login names, which are case-sensitive.
func (rs *Robots) byLogin(login string) *robot {
	if r := rs.byName[login]; r != nil {
		return r
	}
	return rs.byName[robotName(login)]
}

// robotName takes the prefix off a robot's login name.
func robotName(login string) string {
	if name, ok := strings.CutPrefix(login, robotPrefix); ok {
		return name
	}
	return strings.TrimPrefix(login, "robot-")
}

// hashCost estimates how long a list of hashes takes, for comparing.
func hashCost(list []Hash) float64 {
	sum := 0.0
	for _, h := range list {
		sum += h.cost()
	}
	return sum
}
