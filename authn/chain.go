package authn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Equalizer is implemented by authenticators with slow password hashes. A
// [Chain] calls it when nobody owns a password, so that an unknown account
// takes the time of a wrong password and cannot be told from it. Where there
// are several, an unknown account looks like one of the first or one of the
// second, always the same.
type Equalizer interface {
	// Equalize spends that time. It returns [ErrBusy] where the check of a
	// wrong password would have, and nil otherwise.
	Equalize(ctx context.Context, c *Credential) error
	// EqualizeCost is about how many milliseconds that takes at most; zero
	// if there is no account with a slow hash.
	EqualizeCost() float64
}

// Chain asks authenticators in order. It is immutable and safe for concurrent
// use; a credential that is right passes without a lock being taken here.
type Chain struct {
	list     []Member
	ambients []Member // those that implement Ambient
	roles    []Member // those that implement RoleSource
	byName   map[string]Authenticator
	names    nameRule
	throttle *Throttle
	robots   *robotLogins
	admit    func(*Principal) error // see Admit

	passwordsOff bool // see WithoutPasswords
}

// Admit lets check have the last word on every principal that an
// authenticator vouches for: its error refuses the credential. It must be set
// before the chain is used.
func (ch *Chain) Admit(check func(*Principal) error) { ch.admit = check }

// NewChain makes a chain that asks list in its order and answers repeated
// failures through throttle, which may be shared between chains or nil.
func NewChain(list []Member, throttle *Throttle) *Chain {
	c := &Chain{list: slices.Clone(list), byName: make(map[string]Authenticator, len(list)), names: newNameRule(list), throttle: throttle}
	for _, n := range list {
		c.byName[n.Name] = n.Authenticator
		if robots, ok := n.Authenticator.(*Robots); ok {
			c.robots = robots.logins
		}
		if _, ok := n.Authenticator.(Ambient); ok {
			c.ambients = append(c.ambients, n)
		}
		if _, ok := n.Authenticator.(RoleSource); ok {
			c.roles = append(c.roles, n)
		}
	}
	return c
}

// WantsEvidence reports whether credentials should come with their [Evidence]:
// whether anybody in the chain looks at it.
func (ch *Chain) WantsEvidence() bool { return len(ch.ambients) > 0 || len(ch.roles) > 0 }

// Authenticate returns who shows the credential: if there is none, who the
// first [Ambient] authenticator sees, else [Anonymous]; if there is one, what
// the first authenticator says that owns it. A credential that is
// wrong ends the chain; one that nobody owns is [ErrInvalid]. Errors name the
// authenticator, never the secret. Who it is gets the roles that a
// [RoleSource] of the chain sees, unless it is nobody.
func (ch *Chain) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	c.robots = ch.robots
	p, err := ch.principal(ctx, c)
	if err == nil && len(ch.roles) > 0 && !p.IsAnonymous() {
		return ch.withRoles(p, c.Evidence)
	}
	return p, err
}

func (ch *Chain) principal(ctx context.Context, c *Credential) (*Principal, error) {
	if c.Scheme == SchemeNone {
		p, err := ch.ambient(ctx, c)
		if err == nil && ch.admit != nil && !p.IsAnonymous() {
			err = ch.admit(p)
		}
		if err != nil {
			return nil, err
		}
		return p, nil
	}
	p, err := ch.ask(ctx, c)
	if err == nil {
		if ch.admit != nil {
			if refused := ch.admit(p); refused != nil {
				// The secret was right: nobody is guessing here.
				return nil, refused
			}
		}
		return p, nil
	}
	err = ch.explainPassword(c, err)
	if ch.throttle != nil {
		err = ch.throttle.Failed(c, err)
	}
	return nil, err
}

// withRoles adds the roles that the request shows, as [Principal.HeaderRoles].
// The principal is shared between requests, so a copy gets them.
func (ch *Chain) withRoles(p *Principal, e *Evidence) (*Principal, error) {
	var all []string
	for _, n := range ch.roles {
		source, _ := n.Authenticator.(RoleSource)
		roles, err := source.AmbientRoles(e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		if err := ch.names.checkRoles(n.Name, roles); err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		all = append(all, roles...)
	}
	if all == nil {
		return p, nil
	}
	richer := *p
	richer.HeaderRoles = all
	return &richer, nil
}

// ambient asks who sends a request without a credential.
func (ch *Chain) ambient(ctx context.Context, c *Credential) (*Principal, error) {
	if c.Evidence == nil {
		return Anonymous, nil
	}
	for _, n := range ch.ambients {
		a, _ := n.Authenticator.(Ambient)
		p, err := a.AuthenticateAmbient(ctx, c)
		switch {
		case err == nil:
			return ch.vouch(n.Name, p)
		case !errors.Is(err, ErrNotMine):
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return Anonymous, nil
}

// vouch returns the principal with the name of its authenticator. What an
// authenticator returned is shared, so it is not changed.
func (ch *Chain) vouch(name string, p *Principal) (*Principal, error) {
	if p == nil {
		return nil, fmt.Errorf("%s: %w: no principal", name, ErrInvalid)
	}
	if p.Credential != CredentialRegistryToken { // whose name was checked when it was read
		if err := CheckName(p.Kind, p.Name); err != nil {
			return nil, fmt.Errorf("%s: %w: the name of %.200q: %w", name, ErrInvalid, p, err)
		}
	}
	own := p.Kind == KindUser && p.Subject != "" && p.Issuer == ""
	if p.Authenticator == "" || own {
		named := *p
		named.Authenticator = cmp.Or(p.Authenticator, name)
		if own { // the same subject of another authenticator is somebody else
			named.Issuer = named.Authenticator
		}
		p = &named
	}
	if err := ch.names.check(p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

func (ch *Chain) ask(ctx context.Context, c *Credential) (*Principal, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	for _, n := range ch.list {
		if !takes(n.Authenticator, c.Scheme) {
			continue
		}
		p, err := n.Authenticator.Authenticate(ctx, c)
		switch {
		case err == nil:
			return ch.vouch(n.Name, p)
		case !errors.Is(err, ErrNotMine):
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	if err := ch.equalize(ctx, c); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: no authenticator knows a credential of this kind", ErrInvalid)
}

// equalize spends the time of a wrong password for a credential that nobody
// owns.
func (ch *Chain) equalize(ctx context.Context, c *Credential) error {
	var slow []Member
	for _, n := range ch.list {
		if e, ok := n.Authenticator.(Equalizer); ok && takes(n.Authenticator, c.Scheme) && e.EqualizeCost() > 0 {
			slow = append(slow, n)
		}
	}
	if len(slow) == 0 {
		return nil
	}
	n := slow[pretend(len(slow), "authenticator", c.Username)]
	e, _ := n.Authenticator.(Equalizer)
	if err := e.Equalize(ctx, c); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

// check refuses, before anybody is asked, what cannot be right: some
// directories take an empty password for an anonymous login and call it good.
func (c *Credential) check() error {
	switch {
	case c.Secret == "":
		return fmt.Errorf("%w: empty secret", ErrInvalid)
	case len(c.Secret) > MaxCredential:
		return fmt.Errorf("%w: secret longer than %d bytes", ErrInvalid, MaxCredential)
	case len(c.Username) > maxUsername:
		return fmt.Errorf("%w: user name longer than %d bytes", ErrInvalid, maxUsername)
	case !utf8.ValidString(c.Username) || strings.ContainsFunc(c.Username, unicode.IsControl):
		return fmt.Errorf("%w: user name with control characters", ErrInvalid)
	}
	return nil
}

// Recheck reports whether a principal, for whom a registry token was issued
// earlier, is still good for the client that shows it. It fails with
// [ErrDisabled] when the authenticator that vouched for it is gone.
func (ch *Chain) Recheck(p *Principal, c *Credential) error {
	if p.IsAnonymous() {
		return nil
	}
	a, ok := ch.byName[p.Authenticator]
	if !ok {
		return fmt.Errorf("%w: authenticator %q is not configured any more", ErrDisabled, p.Authenticator)
	}
	if r, ok := a.(Rechecker); ok {
		if err := r.Recheck(p, c); err != nil {
			return fmt.Errorf("%s: %w", p.Authenticator, err)
		}
	}
	return nil
}
