package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Revocation ends what was issued earlier. Its id is "token/<jti>" for one
// registry token, "principal/<kind>:<name>" for everything of a principal that
// is no stored user, and "all" for everything.
type Revocation struct {
	// NotBefore: what was issued earlier is refused.
	NotBefore time.Time `json:"not_before"`
	// Until is from when nothing that it concerns can be good any more.
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
}

// RevokeAll is the id of the revocation of everything.
const RevokeAll = "all"

// RevokeToken returns the id of the revocation of one registry token.
func RevokeToken(jti string) string { return "token/" + jti }

// RevokePrincipal returns the id of the revocation of all that was issued to
// a principal.
func RevokePrincipal(principal string) string { return "principal/" + principal }

// restrictions are who may not come in, and what has ended, found without a
// lock: few of many.
type restrictions struct {
	users      *livemap[authn.Identity, restrictedUser]
	tokens     *livemap[string, *cut] // by jti
	principals *livemap[named, *cut]  // of all that was issued to one
	all        atomic.Pointer[cut]
}

// restrictedUser is a user who may not come in, or not with everything.
type restrictedUser struct {
	*User
	signedOut cut
}

// cut is a line between what has ended and what was issued since.
type cut struct {
	at time.Time
	// since is the sequence number of the change that has drawn it.
	since uint64
}

// clockSkew is how far the clocks of gateways may differ.
const clockSkew = time.Minute

// ends reports whether something has ended that was issued at a time, by a
// gateway that knew the changes up to a sequence number; 0: it does not say.
// Where clocks may disagree, the order of changes decides: what a gateway issued
// that did not know of the line has ended, however fast its clock is, and what
// was issued by one that did has not, be it in the same second.
func (c *cut) ends(issued time.Time, asOf uint64) bool {
	before := c.at.Sub(issued)
	if asOf == 0 || before > clockSkew || before < -clockSkew {
		return before > 0
	}
	return asOf < c.since
}

// named is a principal as policies name it.
type named struct {
	kind authn.Kind
	name string
}

func nameOf(p *authn.Principal) named {
	if p.IsAnonymous() {
		return named{kind: authn.KindAnonymous}
	}
	return named{p.Kind, p.Name}
}

func (r *restrictions) follow(s *State) {
	r.users = newLivemap[authn.Identity, restrictedUser](&s.filled, func(i authn.Identity) string { return i.Subject + i.Name })
	r.tokens = newLivemap[string, *cut](&s.filled, itself)
	r.principals = newLivemap[named, *cut](&s.filled, func(n named) string { return n.name })
	s.Users.onChange(func(before, after *Item[User]) {
		// What is to be found is set before what is not any more is removed.
		if after != nil && after.Value.restricted() {
			x := restrictedUser{after.Value, cut{after.Value.NotBefore, after.Revision}}
			if before != nil && before.Value.NotBefore.Equal(after.Value.NotBefore) {
				if known, ok := r.users.get(before.Value.Identity()); ok {
					x.signedOut = known.signedOut
				}
			}
			r.users.set(after.Value.Identity(), x)
		}
		if before != nil && (after == nil || before.Value.Identity() != after.Value.Identity() || !after.Value.restricted()) {
			r.users.remove(before.Value.Identity())
		}
	})
	s.Revocations.onChange(func(before, after *Item[Revocation]) {
		switch {
		case after != nil:
			r.put(after.ID, &cut{after.Value.NotBefore, after.Revision})
		case before != nil:
			r.put(before.ID, nil)
		}
	})
}

// put takes note of a revocation; nil of its end.
func (r *restrictions) put(id string, v *cut) {
	if id == RevokeAll {
		r.all.Store(v)
		return
	}
	switch kind, what, _ := strings.Cut(id, "/"); kind {
	case "token":
		change(r.tokens, what, v)
	case "principal":
		kind, name, _ := strings.Cut(what, ":")
		change(r.principals, named{authn.Kind(kind), name}, v)
	}
}

func change[K comparable](m *livemap[K, *cut], key K, v *cut) {
	if v == nil {
		m.remove(key)
	} else {
		m.set(key, v)
	}
}

func (u *User) restricted() bool {
	return u.Disabled || u.Gone || !u.NotBefore.IsZero() || !u.Unconfirmed.IsZero()
}

// admits says whether what was issued to the user at a time is still good. A
// time that is not known is that of a credential which proves again who it is.
func (u *User) admits(issued time.Time) error {
	x := restrictedUser{u, cut{at: u.NotBefore}}
	return x.admits(issued, 0)
}

// admits says so of what was issued by a gateway that knew the changes up to a
// sequence number.
func (u *restrictedUser) admits(issued time.Time, asOf uint64) error {
	switch {
	case u.Disabled:
		return fmt.Errorf("%w: user %s was disabled by an administrator", authn.ErrDisabled, u.Name)
	case u.Gone:
		return fmt.Errorf("%w: the identity provider does not know user %s any more", authn.ErrDisabled, u.Name)
	case !issued.IsZero() && issued.Before(u.Unconfirmed):
		return fmt.Errorf("%w: user %s, since %s", authn.ErrUnconfirmed, u.Name, u.Unconfirmed.Format(time.RFC3339))
	case !issued.IsZero() && !u.NotBefore.IsZero() && u.signedOut.ends(issued, asOf):
		return fmt.Errorf("%w: user %s was signed out everywhere on %s", authn.ErrExpired, u.Name, u.NotBefore.Format(time.RFC3339))
	}
	return nil
}

// Check says whether a principal who was authenticated may come in: not if the
// user is disabled or gone, or if what it shows has been revoked. It neither
// blocks nor allocates.
func (s *State) Check(p *authn.Principal) error {
	if err := s.CheckStale(p); err != nil {
		return err
	}
	r, asOf := &s.restrictions, s.knew(p)
	if p.Kind == authn.KindUser && r.users.len() > 0 {
		if u, ok := r.users.get(p.Identity()); ok {
			if err := u.admits(p.Issued, asOf); err != nil {
				return err
			}
		}
	}
	if all := r.all.Load(); all != nil {
		if err := all.revoked(p, asOf); err != nil {
			return err
		}
	}
	if r.principals.len() > 0 {
		if v, ok := r.principals.get(nameOf(p)); ok {
			if err := v.revoked(p, asOf); err != nil {
				return err
			}
		}
	}
	if p.Credential == authn.CredentialRegistryToken && r.tokens.len() > 0 {
		if _, ok := r.tokens.get(p.CredentialID); ok {
			return fmt.Errorf("%w: registry token %s was revoked", authn.ErrExpired, p.CredentialID)
		}
	}
	return nil
}

// revoked says whether a revocation ends what a principal shows. Registry tokens
// are ended; secrets are not, they are withdrawn themselves.
func (c *cut) revoked(p *authn.Principal, asOf uint64) error {
	if p.Credential == authn.CredentialRegistryToken && c.ends(p.Issued, asOf) {
		return fmt.Errorf("%w: tokens issued before %s were revoked", authn.ErrExpired, c.at.Format(time.RFC3339))
	}
	return nil
}

// Still says whether what a principal has shown a moment ago is still good: it
// is asked right before something is issued for it that lasts.
func (s *State) Still(p *authn.Principal) error {
	if err := s.Check(p); err != nil || p.CredentialID == "" {
		return err
	}
	there := true
	switch p.Credential {
	case CredentialToken:
		_, there = s.Tokens.Get(p.CredentialID)
	case authn.CredentialIdentityToken:
		_, there = s.IdentityTokens.Get(p.CredentialID)
	case CredentialSession:
		_, there = s.Sessions.Get(p.CredentialID)
	}
	if !there {
		return fmt.Errorf("%w: it has ended", authn.ErrExpired)
	}
	return nil
}

// IssueTime returns as of when something is issued to a user now: never earlier
// than what ended all that was issued before, however slow the clock is here.
func (s *State) IssueTime(user string, now time.Time) time.Time {
	if item, ok := s.Users.Get(user); ok && item.Value.NotBefore.After(now) {
		return item.Value.NotBefore
	}
	return now
}

func equalJSON(a, b map[string]any) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
