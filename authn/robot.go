package authn

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// RobotsName is the name by which a [Chain] must know its [Robots].
const RobotsName = "robots"

// Robots authenticates robots by their secrets. What it costs does not depend
// on how many there are. It is safe for concurrent use.
type Robots struct {
	byName map[string]*Robot
	byID   map[string]*Robot // by the public part of a secret of ours
	slow   [][]Hash          // of each robot that has some, for the time of a wrong password

	// stored are robots that come and go at run time, nil if there are none.
	stored   RobotDirectory
	reserved map[string]string // names that no stored robot may have, and whose they are
	logins   *robotLogins

	match *passwordMatcher
	now   func() time.Time

	configs []RobotConfig
}

// RobotDirectory knows robots that come and go at run time. It is asked for
// every credential and must not block.
type RobotDirectory interface {
	// RobotByName returns the robot of that name, nil if there is none.
	RobotByName(name string) *Robot
	// RobotBySecret returns the robot that has the secret with that id, nil
	// if there is none.
	RobotBySecret(id string) *Robot
	// SlowHashes returns the slow hashes of each robot that has some now.
	SlowHashes() [][]Hash
}

// Follow adds the robots of a directory to those that are declared, which
// come first. It must be called before the robots are used.
func (rs *Robots) Follow(directory RobotDirectory) { rs.stored = directory }

// Reserve keeps names from stored robots, beside those that are declared. One
// that has such a name all the same is dead: neither its secrets nor anything
// else that is said of it counts. It must be called before the robots are used.
func (rs *Robots) Reserve(names map[string]string) { rs.reserved = names }

// superseded reports whether a stored robot of that name is dead.
func (rs *Robots) superseded(name string) bool {
	_, taken := rs.reserved[name]
	return taken || rs.byName[name] != nil
}

// SetPrefixes replaces the [DefaultRobotPrefixes]. It must be called before
// the robots are used, and before they are given to a [Chain], which keeps what
// begins so from everybody else.
func (rs *Robots) SetPrefixes(prefixes []string) { rs.logins = &robotLogins{prefixes} }

// Declared reports whether a robot of that name is declared.
func (rs *Robots) Declared(name string) bool { return rs.byName[name] != nil }

// named returns the robot of that name, declared or stored.
func (rs *Robots) named(name string) *Robot {
	if r := rs.byName[name]; r != nil || rs.stored == nil || rs.superseded(name) {
		return r
	}
	return rs.stored.RobotByName(name)
}

// holding returns the robot that has the secret with that id.
func (rs *Robots) holding(id string) *Robot {
	if r := rs.byID[id]; r != nil || rs.stored == nil {
		return r
	}
	if r := rs.stored.RobotBySecret(id); r != nil && !rs.superseded(r.name) {
		return r
	}
	return nil
}

// NewRobots makes the authenticator of the declared robots. Slow hashes are
// computed in pool and remembered in cache; both may be shared, and may be nil
// for ones of its own. now is the clock, nil for the real one. Errors name the
// robot and the field, never a hash.
func NewRobots(list []RobotConfig, pool *HashPool, cache *VerifiedCache, now func() time.Time) (*Robots, error) {
	rs := &Robots{
		byName: make(map[string]*Robot, len(list)), byID: make(map[string]*Robot, len(list)),
		match: newPasswordMatcher(pool, cache), now: now, configs: list,
	}
	if now == nil {
		rs.now = time.Now
	}
	for _, c := range list {
		r, err := NewRobot(c)
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

// Configs returns the declared robots.
func (rs *Robots) Configs() []RobotConfig { return rs.configs }

// Facts implements [Described].
func (rs *Robots) Facts() Facts {
	f := Facts{Name: RobotsName}
	for _, c := range rs.configs {
		f.Robots = append(f.Robots, c.Name)
	}
	return f
}

func (rs *Robots) add(r *Robot) error {
	if rs.byName[r.name] != nil {
		return fmt.Errorf("robot %s: declared twice", r.name)
	}
	rs.byName[r.name] = r
	for _, id := range r.SecretIDs() {
		if other := rs.byID[id]; other != nil {
			return fmt.Errorf("robot %s: secret_hash: robot %s has a secret with the same id", r.name, other.name)
		}
		rs.byID[id] = r
	}
	if slow := r.SlowHashes(); slow != nil {
		rs.slow = append(rs.slow, slow)
	}
	return nil
}

// Authenticate implements [Authenticator]. It owns secrets of ours that are
// made for robots, by Basic or Bearer, user names that begin with "robot$",
// and passwords with the name of a robot that has one; but not ID tokens or
// other secrets of ours that come with such a name. A robot without a password
// is asked about as a name that nobody has, so that it cannot be told from one.
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
		if !rs.logins.onlyRobots(c.Username) {
			return nil, ErrNotMine
		}
	default:
		r := rs.byLogin(c.Username)
		if (r == nil || !r.hasSlow()) && !rs.logins.onlyRobots(c.Username) {
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
	if err := s.alive(rs.now()); err != nil {
		return nil, err
	}
	return s.who(), nil
}

// bySecret finds a secret of ours, which costs a SHA-256. With Basic the user
// name must be that of the robot.
func (rs *Robots) bySecret(c *Credential) (*robotSecret, error) {
	parsed, err := parseSecret(c.Secret)
	if err != nil {
		return nil, err
	}
	s := rs.holding(parsed.ID).secret(parsed.ID)
	if s == nil || !s.hash.Matches(c.Secret) {
		return nil, nil
	}
	if c.Scheme == SchemeBasic {
		// By name: the robot may have been changed since it was found.
		if r := rs.byLogin(c.Username); r == nil || r.name != s.robot.name {
			return nil, nil
		}
	}
	return s, nil
}

// byPassword compares a password with the slow hashes of r, who is nil if
// there is no such robot. It costs a slow hash, where any robot has one,
// whether the robot exists or not.
func (rs *Robots) byPassword(ctx context.Context, r *Robot, c *Credential) (*robotSecret, error) {
	if r == nil || !r.hasSlow() {
		return nil, rs.Equalize(ctx, c)
	}
	for i := range r.secrets {
		s := &r.secrets[i]
		if !s.hash.Slow() {
			continue
		}
		if ok, err := rs.match.matches(ctx, "robot", c, s.hash); ok || err != nil {
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
	for _, h := range rs.pretended(c.Username) {
		if _, err := rs.match.matches(ctx, "robot", c, h); err != nil {
			return err
		}
	}
	return nil
}

// EqualizeCost implements [Equalizer].
func (rs *Robots) EqualizeCost() float64 {
	most := 0.0
	for _, list := range rs.allSlow() {
		most = max(most, HashCost(list))
	}
	return most
}

// pretended returns the slow hashes of a robot whose looks a name without one is
// given, always the same for a name.
func (rs *Robots) pretended(login string) []Hash {
	all := rs.allSlow()
	if len(all) == 0 {
		return nil
	}
	return all[pretend(len(all), "robot", login)]
}

func (rs *Robots) allSlow() [][]Hash {
	if rs.stored == nil {
		return rs.slow
	}
	if stored := rs.stored.SlowHashes(); len(stored) > 0 {
		return slices.Concat(rs.slow, stored)
	}
	return rs.slow
}

// Recheck implements [Rechecker]: the robot must still exist, be enabled and
// accepted from the client's address, and have the secret that it showed.
func (rs *Robots) Recheck(p *Principal, c *Credential) error {
	r := rs.named(p.Name)
	if r == nil || p.Kind != KindRobot {
		return fmt.Errorf("%w: robot %s does not exist any more", ErrDisabled, p.Name)
	}
	id := p.OriginID
	if p.Origin == "" && p.Credential == credentialRobotSecret {
		id = p.CredentialID
	}
	if p.Origin != "" || id != "" {
		s := r.secret(id)
		if s == nil {
			return fmt.Errorf("%w: robot %s does not have this secret any more", ErrDisabled, p.Name)
		}
		if err := s.alive(rs.now()); err != nil {
			return err
		}
	}
	return r.admits(c.Remote, rs.now())
}

// AdmitRobot returns an error if there is a robot of this name and it is not
// accepted now or from this address. A name that no robot has knows no state
// that could forbid it.
func (rs *Robots) AdmitRobot(name string, remote netip.Addr) error {
	if r := rs.named(name); r != nil {
		return r.admits(remote, rs.now())
	}
	return nil
}

// byLogin finds a robot by one of its login names, which are case-sensitive.
func (rs *Robots) byLogin(login string) *Robot {
	if r := rs.named(login); r != nil {
		return r
	}
	for _, prefix := range rs.logins.prefixes() {
		if name, ok := strings.CutPrefix(login, prefix); ok {
			if r := rs.named(name); r != nil {
				return r
			}
		}
	}
	return nil
}

// DefaultRobotPrefixes are what robots put before their names to log in: the
// one that Harbor has, which can only be a robot's, and one that needs no
// quoting in a shell.
var DefaultRobotPrefixes = []string{robotPrefix, "robot-"}

// robotPrefix begins a name that can only be a robot's, whatever robots put
// before their names in a realm: no person is called so.
const robotPrefix = "robot$"

// maxRobotPrefix is how long what robots put before their names may be, in
// bytes.
const maxRobotPrefix = 64

// CheckRobotPrefixes returns an error unless all of a list can be put before
// the names of robots.
func CheckRobotPrefixes(list []string) error {
	for _, prefix := range list {
		switch {
		case prefix == "":
			return fmt.Errorf("robot_prefix is empty: robots log in by their plain names anyhow")
		case len(prefix) > maxRobotPrefix:
			return fmt.Errorf("robot_prefix %.64q: longer than %d bytes", prefix, maxRobotPrefix)
		case !utf8.ValidString(prefix) || strings.ContainsFunc(prefix, func(r rune) bool {
			return r == ':' || unicode.IsSpace(r) || !unicode.IsPrint(r)
		}):
			return fmt.Errorf("robot_prefix %.64q: has white space, control characters, or a colon", prefix)
		}
	}
	return nil
}

// robotLogins are what robots put before their names in a realm. The nil
// pointer stands for the [DefaultRobotPrefixes].
type robotLogins struct{ list []string }

func (l *robotLogins) prefixes() []string {
	if l == nil {
		return DefaultRobotPrefixes
	}
	return l.list
}

// isRobots reports whether a login name begins as those of robots do, in
// whatever case: a password that comes with it is shown to nobody else.
func (l *robotLogins) isRobots(login string) bool {
	_, found := l.cut(login)
	return found || l.onlyRobots(login)
}

// onlyRobots reports whether a login name can be nobody's but a robot's, in
// whatever case: it has a prefix which ends as no name of a person does.
func (l *robotLogins) onlyRobots(login string) bool {
	if hasPrefixFold(login, robotPrefix) {
		return true
	}
	for _, prefix := range l.prefixes() {
		if strings.HasSuffix(prefix, "$") && hasPrefixFold(login, prefix) {
			return true
		}
	}
	return false
}

// cut takes the prefix off a robot's login name, in whatever case.
func (l *robotLogins) cut(login string) (name string, found bool) {
	for _, prefix := range l.prefixes() {
		if hasPrefixFold(login, prefix) {
			return login[len(prefix):], true
		}
	}
	return login, false
}

// account folds the spellings under which one account can be tried, so that
// another spelling is not another count.
func (l *robotLogins) account(login string) string {
	name, _ := l.cut(strings.TrimSpace(login))
	return strings.ToLower(name)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
