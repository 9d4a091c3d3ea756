package authn

import (
	"fmt"
	"slices"
)

// GroupKeeper is implemented by authenticators that have the groups of their
// users at hand.
type GroupKeeper interface {
	// GroupsNow returns the groups that a user is in now, none if there is no
	// such user. It must not block.
	GroupsNow(p *Principal) []string
}

// Vouch reports whether somebody is still good to whom something lasting was
// issued, such as an access token. p is who that is, with the authenticator
// that saw it last, and is not shared: where that one keeps groups, p gets
// those of now. If it is not configured any more, another one that has users of
// the same issuer is asked, and it is [ErrDisabled] if there is none. Nobody
// vouches for who has not been seen yet, and has none.
func (ch *Chain) Vouch(p *Principal, c *Credential) error {
	if p.Authenticator == "" {
		return nil
	}
	name := p.Authenticator
	a, ok := ch.byName[name]
	if !ok {
		if name, ok = ch.withUsersOf(p.Issuer); !ok {
			return fmt.Errorf("%w: authenticator %q, which knew %s, is not configured any more", ErrDisabled, p.Authenticator, p)
		}
		a = ch.byName[name]
	}
	if k, ok := a.(GroupKeeper); ok {
		p.Groups, p.GroupsUnread = k.GroupsNow(p), false
	}
	if r, ok := a.(Rechecker); ok {
		if err := r.Recheck(p, c); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return ch.names.check(p)
}

// withUsersOf returns the name of an authenticator that has users of an issuer.
func (ch *Chain) withUsersOf(issuer string) (name string, ok bool) {
	if issuer == "" {
		return "", false
	}
	i := slices.IndexFunc(ch.list, func(m Member) bool { return m.Identity == issuer })
	if i < 0 {
		return "", false
	}
	return ch.list[i].Name, true
}
