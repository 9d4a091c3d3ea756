package authn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"
)

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
// and registry tokens, without being of use to who wants to guess it. Stored
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
