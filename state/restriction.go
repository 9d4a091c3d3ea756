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
	users      *livemap[authn.Identity, *User]
	tokens     *livemap[string, *Revocation] // by jti
	principals *livemap[named, *Revocation]  // of all that was issued to one
	all        atomic.Pointer[Revocation]
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
	r.users = newLivemap[authn.Identity, *User](&s.filled, func(i authn.Identity) string { return i.Subject + i.Name })
	r.tokens = newLivemap[string, *Revocation](&s.filled, itself)
	r.principals = newLivemap[named, *Revocation](&s.filled, func(n named) string { return n.name })
	s.Users.onChange(func(before, after *Item[User]) {
		// What is to be found is set before what is not any more is removed.
		if after != nil && after.Value.restricted() {
			r.users.set(after.Value.Identity(), after.Value)
		}
		if before != nil && (after == nil || before.Value.Identity() != after.Value.Identity() || !after.Value.restricted()) {
			r.users.remove(before.Value.Identity())
		}
	})
	s.Revocations.onChange(func(before, after *Item[Revocation]) {
		switch {
		case after != nil:
			r.put(after.ID, after.Value)
		case before != nil:
			r.put(before.ID, nil)
		}
	})
}

// put takes note of a revocation; nil of its end.
func (r *restrictions) put(id string, v *Revocation) {
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

func change[K comparable](m *livemap[K, *Revocation], key K, v *Revocation) {
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
	switch {
	case u.Disabled:
		return fmt.Errorf("%w: user %s was disabled by an administrator", authn.ErrDisabled, u.Name)
	case u.Gone:
		return fmt.Errorf("%w: the identity provider does not know user %s any more", authn.ErrDisabled, u.Name)
	case !issued.IsZero() && issued.Before(u.Unconfirmed):
		return fmt.Errorf("%w: user %s, since %s", authn.ErrUnconfirmed, u.Name, u.Unconfirmed.Format(time.RFC3339))
	case !issued.IsZero() && issued.Before(u.NotBefore):
		return fmt.Errorf("%w: user %s was signed out everywhere on %s", authn.ErrExpired, u.Name, u.NotBefore.Format(time.RFC3339))
	}
	return nil
}

// Check says whether a principal who was authenticated may come in: not if the
// user is disabled or gone, or if what it shows has been revoked. It neither
// blocks nor allocates.
func (s *State) Check(p *authn.Principal) error {
	r := &s.restrictions
	if p.Kind == authn.KindUser && r.users.len() > 0 {
		if u, ok := r.users.get(p.Identity()); ok {
			if err := u.admits(p.Issued); err != nil {
				return err
			}
		}
	}
	if all := r.all.Load(); all != nil {
		if err := all.ends(p); err != nil {
			return err
		}
	}
	if r.principals.len() > 0 {
		if v, ok := r.principals.get(nameOf(p)); ok {
			if err := v.ends(p); err != nil {
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

// ends says whether a revocation ends what a principal shows. Registry tokens
// and other things with a date of issue are ended; secrets are not, they are
// withdrawn themselves.
func (v *Revocation) ends(p *authn.Principal) error {
	if p.Credential == authn.CredentialRegistryToken && p.Issued.Before(v.NotBefore) {
		return fmt.Errorf("%w: tokens issued before %s were revoked", authn.ErrExpired, v.NotBefore.Format(time.RFC3339))
	}
	return nil
}

func equalJSON(a, b map[string]any) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
