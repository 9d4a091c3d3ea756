package authn

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

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
