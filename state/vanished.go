package state

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// formerIdentity begins the identity of an owner whose name may be somebody
// else's now. It is nobody's.
const formerIdentity = "former:"

// FormerIdentity is the [Owner.Identity] of a user who has vanished, and whose
// name somebody else may have now.
func FormerIdentity(user string) string { return formerIdentity + user }

// vanish ends what a user had until a time. If who that is may be reused, the
// name may be somebody else's from then on, and nobody owns what the user did. It
// reports whether there was anything new to end. What hangs on the name alone,
// such as a role mapping, stays.
func (s *State) vanish(tx *Tx, id string, u *User, since time.Time, reused bool, why string) bool {
	if !since.After(u.First) || !since.After(u.NotBefore) {
		return false
	}
	u.NotBefore, u.Unconfirmed = since.UTC(), time.Time{}
	ended := s.endLogins(tx, id, since)
	if reused { // the next person of that name would see them in the own list
		for item := range s.Tokens.All() {
			if item.Value.User == id && item.Value.Created.Before(since) {
				Delete(tx, s.Tokens, item.ID, store.Precondition{})
				ended++
			}
		}
	}
	former := 0
	for item := range s.Owners.All() {
		if reused && item.Value.Identity == id && item.Value.Since.Before(since) {
			owner := *item.Value
			owner.Identity = FormerIdentity(id)
			Put(tx, s.Owners, item.ID, &owner, Unchanged(item))
			former++
		}
	}
	tx.Note(System, "user.gone", Object{Kind: "user", ID: id, Name: u.Name}, nil, map[string]any{"reason": why, "ended": ended, "owned": former})
	return true
}

// endLogins deletes the sessions and docker logins of a user that began before
// a time, and returns how many there were.
func (s *State) endLogins(tx *Tx, id string, before time.Time) (ended int) {
	for item := range s.Sessions.All() {
		if item.Value.User == id && item.Value.Created.Before(before) {
			Delete(tx, s.Sessions, item.ID, store.Precondition{})
			ended++
		}
	}
	for item := range s.IdentityTokens.All() {
		if item.Value.User == id && item.Value.Created.Before(before) {
			Delete(tx, s.IdentityTokens, item.ID, store.Precondition{})
			ended++
		}
	}
	return ended
}

// adopt gives what one user has to another: the same person, known by another
// subject from now on. What was owned before until was somebody else's.
func (s *State) adopt(tx *Tx, from, to string, until time.Time) {
	for item := range s.Tokens.All() {
		if item.Value.User == from {
			moved := *item.Value
			moved.User = to
			Put(tx, s.Tokens, item.ID, &moved, Unchanged(item))
		}
	}
	for item := range s.IdentityTokens.All() {
		if item.Value.User == from {
			moved := *item.Value
			moved.User = to
			Put(tx, s.IdentityTokens, item.ID, &moved, Unchanged(item))
		}
	}
	for item := range s.Owners.All() {
		if item.Value.Identity == from {
			moved := *item.Value
			if moved.Identity = to; moved.Since.Before(until) {
				moved.Identity = FormerIdentity(from)
			}
			Put(tx, s.Owners, item.ID, &moved, Unchanged(item))
		}
	}
	Delete(tx, s.Users, from, store.Precondition{})
	tx.Note(System, "user.adopt", Object{Kind: "user", ID: to}, nil, map[string]any{"from": from})
}

// missing writes down that a user has left the list of those whom an
// authenticator knows, or was not seen for too long.
func (l *Liveness) missing(ctx context.Context, id string, since time.Time, why string) {
	item, ok := l.state.Users.Get(id)
	if !ok {
		return
	}
	next := *item.Value
	var tx Tx
	if !l.state.vanish(&tx, id, &next, since, true, why) {
		return
	}
	Put(&tx, l.state.Users, id, &next, Unchanged(item))
	switch err := l.state.Commit(ctx, &tx); {
	case err == nil:
		l.options.Count(LivenessGone)
		l.options.Log.Warn("a user is not there any more: all that the user has had has ended", "user", id, "reason", why)
	case !errors.Is(err, store.ErrConflict):
		l.options.Log.Warn("a user is not there any more and it cannot be written down", "user", id, "error", err)
	}
}

// left returns since when a user is missing from the list of the authenticator,
// zero if that has been dealt with.
func (p *asked) left(u *User) time.Time {
	if p.Roster == nil {
		return time.Time{}
	}
	since := p.Roster.Missing(u.Principal())
	if !since.After(u.First) || !since.After(u.NotBefore) {
		return time.Time{}
	}
	return since
}

// reused reports whether a user who is not seen any more may be somebody else
// later.
func (p *asked) reused(u *User) bool {
	return u.Subject == "" || p.Reused != nil && p.Reused(u.Subject)
}

// aliasOf returns the id by which a principal was known before.
func aliasOf(p *authn.Principal) string {
	if p.FormerSubject == "" {
		return ""
	}
	return authn.Identity{Kind: p.Kind, Issuer: p.Issuer, Subject: p.FormerSubject}.ID()
}

// VouchingFor returns how the users of an authenticator are asked about who are
// not asked about at an identity provider; false where it has no users, or none
// of its own.
func VouchingFor(name string, a authn.Authenticator) (v Vouching, ok bool) {
	v.Authenticator = name
	if r, reuses := a.(authn.Reusing); reuses {
		v.Reused = r.MayBeReused
	}
	switch a := a.(type) {
	case *authn.LDAP:
		v.Issuer = a.Config().IdentityIssuer()
		v.Every, v.Grace, v.MaxAge = a.Config().Rechecks()
		if a.LooksUp() {
			v.Directory = a
		}
	case authn.Roster:
		v.Roster = a
	case *authn.TrustedHeaders, *authn.External, *authn.MTLS:
		v.MaxAge = authn.SilentFor
	default:
		return Vouching{}, false
	}
	return v, true
}
