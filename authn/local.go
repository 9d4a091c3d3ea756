package authn

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"
)

// LocalName is how a realm calls [Local] users without a prefix.
const LocalName = "local"

// LocalConfig declares people in the configuration itself.
type LocalConfig struct {
	// The people.
	Users []LocalUser `json:"users,omitempty"`

	// What the names of these users and groups start with in policies, so
	// that they cannot be taken for those of another authenticator. Users
	// log in without it. Default: nothing.
	Prefix string `json:"prefix,omitempty"`
}

// LocalUser is one of them.
type LocalUser struct {
	// The name to log in with.
	Name string `json:"name"`

	// The password's argon2id hash, as `caddy registry-auth hash-password`
	// prints it, or a bcrypt hash. Placeholders such as
	// `{env.ADMIN_PASSWORD_HASH}` are resolved at start.
	PasswordHash string `json:"password_hash"`

	// The groups that the user is in.
	Groups []string `json:"groups,omitempty"`

	// If true, the user is refused.
	Disabled bool `json:"disabled,omitempty"`

	// If true, the user may also log in where passwords are switched off.
	BreakGlass bool `json:"break_glass,omitempty"`
}

// Local authenticates people who are declared in the configuration. It is
// immutable and safe for concurrent use.
type Local struct {
	table *passwordTable
	match *passwordMatcher
	all   bool // and not only those for emergencies
	since time.Time
}

// NewLocal makes the authenticator of the declared people. Slow hashes are
// computed in pool and remembered in cache; both may be shared, and may be nil
// for ones of its own. Errors name the user and the field, never a hash.
func NewLocal(c LocalConfig, pool *HashPool, cache *VerifiedCache) (*Local, error) {
	name := LocalName
	if c.Prefix != "" {
		name += ":" + c.Prefix
	}
	if err := checkUserName(c.Prefix); err != nil {
		return nil, fmt.Errorf("local: prefix %.64q %w", c.Prefix, err)
	}
	l := &Local{table: newPasswordTable(name, c.Prefix), match: newPasswordMatcher(pool, cache), all: true, since: time.Now()}
	for _, u := range c.Users {
		h, err := ParsePasswordHash(u.PasswordHash)
		if err != nil {
			return nil, fmt.Errorf("local: user %.64s: password_hash: %w", u.Name, err)
		}
		if err := l.table.add(u.Name, passwordUser{hash: h, disabled: u.Disabled, breakGlass: u.BreakGlass}, u.Groups); err != nil {
			return nil, fmt.Errorf("local: %w", err)
		}
	}
	return l, nil
}

// ParsePasswordHash reads the stored form of a password: argon2id or bcrypt, as
// [ParseHash] does, and nothing that is quick to compute.
func ParsePasswordHash(stored string) (Hash, error) {
	h, err := ParseHash(strings.TrimSpace(stored))
	if err == nil && !h.Slow() {
		return nil, errors.New("sha256 is for secrets of robots: make the hash of a password with \"caddy registry-auth hash-password\"")
	}
	return h, err
}

// HashNewPassword returns the stored form of a password that a person chose.
// It refuses what would never be taken for one.
func HashNewPassword(password string) (string, error) {
	if c := (&Credential{Scheme: SchemeBasic, Secret: password}); !c.IsPassword() {
		return "", errors.New("this is a secret of ours or a token, which is never taken for a password: for robots there is \"caddy registry-auth hash-secret\"")
	}
	return HashPassword(password), nil
}

// Name is how a realm calls this authenticator.
func (l *Local) Name() string { return l.table.authenticator }

// Facts implements [Described].
func (l *Local) Facts() Facts {
	return Facts{
		Name: l.Name(), Prefix: l.table.prefix, People: true, Passwords: l.all,
		Logins: slices.Sorted(maps.Keys(l.table.users)),
	}
}

// BreakGlass implements [BreakGlass].
func (l *Local) BreakGlass() Authenticator {
	only := l.table.breakGlass()
	if len(only.users) == 0 {
		return nil
	}
	return &Local{table: only, match: l.match}
}

// Authenticate implements [Authenticator]. It owns passwords, by Basic, of the
// declared users.
func (l *Local) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	return l.table.authenticate(ctx, l.match, c)
}

// Recheck implements [Rechecker].
func (l *Local) Recheck(p *Principal, _ *Credential) error { return l.table.recheck(p) }

// Missing implements [Roster].
func (l *Local) Missing(p *Principal) time.Time {
	if l.table.has(p) {
		return time.Time{}
	}
	return l.since
}

// Changes implements [Roster]. The list is that of one configuration.
func (*Local) Changes() int { return 0 }

// GroupsNow implements [GroupKeeper].
func (l *Local) GroupsNow(p *Principal) []string { return l.table.groups(p) }

// Equalize implements [Equalizer].
func (l *Local) Equalize(ctx context.Context, c *Credential) error {
	return l.table.equalize(ctx, l.match, c)
}

// EqualizeCost implements [Equalizer].
func (l *Local) EqualizeCost() float64 { return l.table.cost }

// CredentialPassword is [Principal.Credential] of a person who showed a
// password that the gateway has the hash of.
const CredentialPassword = "password"

// BreakGlass is implemented by authenticators some of whose accounts are there
// for the day on which nothing else works.
type BreakGlass interface {
	// BreakGlass returns the same authenticator with these accounts only,
	// nil if it has none.
	BreakGlass() Authenticator
}

// IsPassword reports whether what is shown can be a password that somebody
// chose: it comes by [SchemeBasic] and is neither a JWT nor a secret of ours,
// whose shape says more than the user name, nor a robot's, whom a name such as
// "robot$…" gives away.
func (c *Credential) IsPassword() bool {
	if c.Scheme != SchemeBasic || looksLikeJWT(c.Secret) {
		return false
	}
	_, isSecret := secretKind(c.Secret)
	return !isSecret && !c.robots.onlyRobots(c.Username)
}

// PasswordsOffError says that a password was shown where those of people are
// switched off. It is the same for every password that does not hold, so that
// nobody learns which accounts are excepted.
type PasswordsOffError struct {
	// Err is why this one does not hold.
	Err error
}

func (e *PasswordsOffError) Error() string {
	return "passwords of people are switched off: " + e.Err.Error()
}

// Unwrap returns why this one does not hold.
func (e *PasswordsOffError) Unwrap() error { return e.Err }

// WithoutPasswords returns the chain with the passwords of people switched
// off: authenticators with [Facts.Passwords] are not asked for Basic
// credentials, and vouch for nobody any more, but for the accounts that
// [BreakGlass] excepts. Robots, secrets of ours and tokens as passwords go on.
func (ch *Chain) WithoutPasswords() *Chain {
	list := slices.Clone(ch.list)
	for i := range list {
		list[i].Authenticator = withoutPasswords(list[i])
	}
	off := NewChain(list, ch.throttle)
	off.admit, off.passwordsOff = ch.admit, true
	return off
}

func withoutPasswords(m Member) Authenticator {
	if !m.Passwords {
		return m.Authenticator
	}
	if b, ok := m.Authenticator.(BreakGlass); ok {
		if only := b.BreakGlass(); only != nil {
			return only
		}
	}
	return shutDoor{m.Authenticator}
}

// shutDoor stands before an authenticator that is not asked for passwords.
type shutDoor struct{ Authenticator }

// Authenticate asks for credentials other than passwords.
func (s shutDoor) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if c.Scheme == SchemeBasic {
		return nil, ErrNotMine
	}
	return s.Authenticator.Authenticate(ctx, c)
}

// Recheck ends the registry tokens that passwords were exchanged for.
func (s shutDoor) Recheck(p *Principal, _ *Credential) error {
	return fmt.Errorf("%w: %s signed in with a password, which is switched off", ErrDisabled, p)
}

// explainPassword tells a password that failed from other failures where
// passwords are switched off.
func (ch *Chain) explainPassword(c *Credential, err error) error {
	if ch.passwordsOff && c.IsPassword() && errors.Is(err, ErrInvalid) {
		return &PasswordsOffError{Err: err}
	}
	return err
}

// passwordUser is a person with a password hash of ours. Its fields do not
// change once it is in a table.
type passwordUser struct {
	hash       Hash
	disabled   bool
	breakGlass bool
	principal  func() *Principal
}

// passwordTable are people by the name they log in with. It is immutable.
type passwordTable struct {
	authenticator string
	prefix        string // of their names, and their groups', as policies call them
	users         map[string]*passwordUser
	hashes        []Hash // of all of them, for the time of a wrong password
	cost          float64
}

func newPasswordTable(authenticator, prefix string) *passwordTable {
	return &passwordTable{authenticator: authenticator, prefix: prefix, users: map[string]*passwordUser{}}
}

// add puts a user into the table. Groups are without the prefix.
func (t *passwordTable) add(name string, u passwordUser, groups []string) error {
	switch {
	case name == "":
		return fmt.Errorf("user name is empty")
	case t.users[name] != nil:
		return fmt.Errorf("user %s is there twice", name)
	}
	if err := checkUserName(t.prefix + name); err != nil {
		return fmt.Errorf("user name %.64q: %w", name, err)
	}
	prefixed := make([]string, 0, len(groups))
	for _, g := range groups {
		if err := checkUserName(t.prefix + g); err != nil || g == "" {
			return fmt.Errorf("user %s: group %.64q is not a name for a group", name, g)
		}
		prefixed = append(prefixed, t.prefix+g)
	}
	slices.Sort(prefixed)
	p := Principal{
		Kind: KindUser, Name: t.prefix + name, Groups: slices.Compact(prefixed),
		Authenticator: t.authenticator, Credential: CredentialPassword,
	}
	// Computed when it is needed: a file may have a hundred thousand users.
	u.principal = sync.OnceValue(func() *Principal {
		p.CredentialID = passwordFingerprint(name, u.hash)
		return &p
	})
	t.users[name] = &u
	t.hashes = append(t.hashes, u.hash)
	t.cost = max(t.cost, u.hash.cost())
	return nil
}

// passwordFingerprint tells one password of a user from the next in log lines
// and registry tokens, without helping anybody to guess it. Stored
// hashes have a salt that nobody outside knows; one without is stretched.
func passwordFingerprint(name string, h Hash) string {
	const purpose = "caddy-registry-auth password fingerprint"
	var sum [sha256.Size]byte
	if u, ok := h.(saltless); ok && u.unsalted() {
		sum = [sha256.Size]byte(argon2.IDKey([]byte(h.stored()), []byte(purpose+":"+name), 2, 19<<10, 1, sha256.Size))
	} else {
		sum = sha256.Sum256([]byte(purpose + ":" + name + ":" + h.stored()))
	}
	return hex.EncodeToString(sum[:8])
}

// authenticate checks the password of a user of the table. Who is not in it is
// somebody else's: [ErrNotMine].
func (t *passwordTable) authenticate(ctx context.Context, m *passwordMatcher, c *Credential) (*Principal, error) {
	if !c.IsPassword() {
		return nil, ErrNotMine
	}
	u := t.users[c.Username]
	if u == nil {
		return nil, ErrNotMine
	}
	ok, err := m.matches(ctx, CredentialPassword, c, u.hash)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%w: wrong password", ErrInvalid)
	case u.disabled: // only who knows the password learns it
		return nil, fmt.Errorf("%w: user %s", ErrDisabled, c.Username)
	}
	return u.principal(), nil
}

// equalize spends the time of a wrong password on a name that is not in the
// table: that of one of its users, always the same for a name.
func (t *passwordTable) equalize(ctx context.Context, m *passwordMatcher, c *Credential) error {
	if len(t.hashes) == 0 || !c.IsPassword() {
		return nil
	}
	_, err := m.matches(ctx, CredentialPassword, c, t.hashes[pretend(len(t.hashes), "user", c.Username)])
	return err
}

// has reports whether a user is in the table.
func (t *passwordTable) has(p *Principal) bool {
	name, ok := strings.CutPrefix(p.Name, t.prefix)
	return ok && p.Kind == KindUser && t.users[name] != nil
}

// recheck is [Rechecker.Recheck]: the user must still be there, with the
// password that was shown, and in the groups that the token speaks of.
func (t *passwordTable) recheck(p *Principal) error {
	name, ok := strings.CutPrefix(p.Name, t.prefix)
	u := t.users[name]
	switch {
	case p.Kind != KindUser || !ok || u == nil:
		return fmt.Errorf("%w: user %s does not exist any more", ErrDisabled, p.Name)
	case u.disabled:
		return fmt.Errorf("%w: user %s", ErrDisabled, p.Name)
	}
	current := u.principal()
	if p.Origin != "" && p.OriginID != current.CredentialID {
		return fmt.Errorf("%w: user %s has another password now", ErrDisabled, p.Name)
	}
	for _, g := range p.Groups {
		if _, found := slices.BinarySearch(current.Groups, g); !found {
			return fmt.Errorf("%w: user %s is not in group %s any more", ErrDisabled, p.Name, g)
		}
	}
	return nil
}

// groups is [GroupKeeper.GroupsNow].
func (t *passwordTable) groups(p *Principal) []string {
	name, ok := strings.CutPrefix(p.Name, t.prefix)
	if u := t.users[name]; ok && u != nil {
		return u.principal().Groups
	}
	return nil
}

// breakGlass returns the table with the users that are meant for emergencies.
func (t *passwordTable) breakGlass() *passwordTable {
	only := newPasswordTable(t.authenticator, t.prefix)
	for name, u := range t.users {
		if u.breakGlass {
			only.users[name] = u
			only.hashes = append(only.hashes, u.hash)
			only.cost = max(only.cost, u.hash.cost())
		}
	}
	return only
}

// saltless is a stored hash that may come without salt: equal passwords have
// equal hashes.
type saltless interface{ unsalted() bool }

// passwordMatcher compares passwords with stored hashes: slow ones in a pool,
// with a memory of their outcomes.
type passwordMatcher struct {
	pool  *HashPool
	cache *VerifiedCache
}

// newPasswordMatcher takes ones of its own for what is nil.
func newPasswordMatcher(pool *HashPool, cache *VerifiedCache) *passwordMatcher {
	if pool == nil {
		pool = NewHashPool(0)
	}
	if cache == nil {
		cache = NewVerifiedCache()
	}
	return &passwordMatcher{pool: pool, cache: cache}
}

// matches reports whether what c shows has this hash. Whether the account is
// there is not looked at: it is also asked with the hash of somebody else.
func (m *passwordMatcher) matches(ctx context.Context, kind string, c *Credential, h Hash) (bool, error) {
	if !h.Slow() {
		return h.Matches(c.Secret), nil
	}
	ok, err := m.cache.Verify(ctx, m.pool, Check{Kind: kind, User: c.Username, Secret: c.Secret, Hash: h, From: c.Remote})
	if err != nil && ctx.Err() != nil {
		return false, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return ok, err
}

// pretending is the key by which unknown accounts are given the looks of known
// ones: it outlives configurations, for the looks must not change with them.
var pretending = newProcessMAC()

// pretend picks one of n, always the same for the same words.
func pretend(n int, words ...string) int {
	sum := pretending.sum(words...)
	return int(binary.LittleEndian.Uint64(sum[:]) % uint64(n))
}
