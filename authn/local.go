package authn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
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
