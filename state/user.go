package state

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// User is a person who has been seen. Its id is [authn.Identity.ID].
type User struct {
	Issuer        string `json:"issuer,omitempty"`
	Subject       string `json:"subject,omitempty"`
	Name          string `json:"name"`
	Email         string `json:"email,omitempty"`
	Authenticator string `json:"authenticator,omitempty"`

	// Groups, Roles and Claims as they were said last. Claims are those that
	// rules look at.
	Groups []string       `json:"groups,omitempty"`
	Roles  []string       `json:"roles,omitempty"`
	Claims map[string]any `json:"claims,omitempty"`
	// GroupsUnread and RolesUnread are those of [authn.Principal].
	GroupsUnread bool `json:"groups_unread,omitempty"`
	RolesUnread  bool `json:"roles_unread,omitempty"`
	// Asserted is as of when that was said: what is older does not count.
	Asserted time.Time `json:"asserted,omitzero"`

	First time.Time `json:"first_seen"`
	Last  time.Time `json:"last_seen"`

	// Disabled: an administrator has locked the user out.
	Disabled bool `json:"disabled,omitempty"`
	// Gone: the identity provider says that there is no such user any more.
	Gone bool `json:"gone,omitempty"`
	// Unconfirmed is since when nobody vouches for the user: the identity
	// provider could not be asked for too long. What was issued earlier rests
	// until the user is confirmed or signs in again.
	Unconfirmed time.Time `json:"unconfirmed,omitzero"`
	// NotBefore ends everything that was issued to the user earlier.
	NotBefore time.Time `json:"not_before,omitzero"`

	// Provider is what is needed to ask the identity provider whether the
	// user is still there.
	Provider *ProviderGrant `json:"provider,omitempty"`

	// former is the id of the record that this one takes the place of, until
	// until when that may have been somebody else's.
	former string
	until  time.Time
}

// ProviderGrant is a user's standing with the identity provider.
type ProviderGrant struct {
	// Sealed is the provider's refresh token, encrypted.
	Sealed []byte `json:"sealed,omitempty"`
	// Checked is when the provider said last that the user is there.
	Checked time.Time `json:"checked,omitzero"`
}

// ProviderPlace is where a user's refresh token of the provider is kept, for
// who seals and opens it.
func ProviderPlace(user string) string { return "user/" + user + "/provider" }

// Identity returns who the user is.
func (u *User) Identity() authn.Identity {
	return (&authn.Principal{Kind: authn.KindUser, Issuer: u.Issuer, Subject: u.Subject, Name: u.Name}).Identity()
}

// Principal returns the user as rules see it, as of when it was seen last.
func (u *User) Principal() *authn.Principal {
	return &authn.Principal{
		Kind: authn.KindUser, Name: u.Name, Issuer: u.Issuer, Subject: u.Subject,
		Groups: u.Groups, Roles: u.Roles, GroupsUnread: u.GroupsUnread, RolesUnread: u.RolesUnread, Claims: u.Claims,
	}
}

// describe takes over how somebody is described now.
func (u *User) describe(p *authn.Principal) {
	u.Name, u.Groups, u.Roles, u.Claims = p.Name, p.Groups, p.Roles, p.Claims
	u.GroupsUnread, u.RolesUnread = p.GroupsUnread, p.RolesUnread
}

// describedAs reports whether somebody is still described so.
func (u *User) describedAs(p *authn.Principal) bool {
	return u.Name == p.Name && slices.Equal(u.Groups, p.Groups) && slices.Equal(u.Roles, p.Roles) &&
		u.GroupsUnread == p.GroupsUnread && u.RolesUnread == p.RolesUnread && equalJSON(u.Claims, p.Claims)
}

// assertedSkew is how far the clock of whoever speaks of a user may be behind.
const assertedSkew = time.Minute

// outdated reports whether somebody else said something newer of the user than
// what p is made of, such as an ID token that was issued before a newer one.
func (u *User) outdated(p *authn.Principal) bool {
	return !p.Issued.IsZero() && p.Issued.Before(u.Asserted.Add(-assertedSkew))
}

// seenAgain is how much later a user has to be seen for it to be written.
const seenAgain = 10 * time.Minute

// movedAgain is the same for the authenticator that the user comes by.
const movedAgain = time.Minute

// See returns the record of a user who was authenticated just now, and whether
// it differs enough from what is stored to be written.
func (s *State) See(p *authn.Principal) (id string, u *User, before *Item[User], changed bool) {
	id, now := p.Identity().ID(), s.now().UTC().Truncate(time.Second)
	next := User{First: now}
	before, known := s.Users.Get(id)
	old, hadAlias := s.Users.Get(aliasOf(p))
	switch {
	case known:
		next = *before.Value
	case hadAlias:
		next, before = *old.Value, nil
		if p.Since.After(next.First) && p.Since.After(next.NotBefore) {
			next.NotBefore, next.until = p.Since, p.Since // before that it was somebody else
		}
	default:
		before = nil
	}
	if hadAlias {
		next.former = old.ID
	}
	if known && next.outdated(p) {
		return id, &next, before, false
	}
	said := p.Issued.UTC()
	if said.IsZero() || said.After(now) {
		said = now
	}
	if said.After(next.Asserted) {
		next.Asserted = said
	}
	same := known && next.describedAs(p)
	// Who comes by two ways in turn is not written down each time.
	moved := next.Authenticator != p.Authenticator && now.Sub(next.Last) > movedAgain
	next.Issuer, next.Subject, next.Authenticator = p.Issuer, p.Subject, p.Authenticator
	next.describe(p)
	if email, ok := p.Claims["email"].(string); ok {
		next.Email = email
	}
	// A password that is remembered from before says nothing about now.
	confirmed := !next.Unconfirmed.IsZero() && (p.Proven.IsZero() || p.Proven.After(next.Unconfirmed))
	if confirmed {
		next.Unconfirmed = time.Time{}
	}
	changed = !same || hadAlias || moved || confirmed || now.Sub(next.Last) > seenAgain
	next.Last = now
	return id, &next, before, changed
}

// PutUser adds the writing of a user to a transaction.
func (s *State) PutUser(tx *Tx, id string, u *User, before *Item[User]) {
	condition := Absent
	if before != nil {
		condition = Unchanged(before)
	}
	if u.former != "" {
		s.adopt(tx, u.former, id, u.until)
	}
	Put(tx, s.Users, id, u, condition)
}

// userNames finds the users, by their ids, who go by a name.
type userNames struct{ ids *livemap[string, []string] }

func (x *userNames) follow(t *Table[User], filled *atomic.Bool) {
	x.ids = newLivemap[string, []string](filled, itself)
	t.onChange(func(before, after *Item[User]) {
		if before != nil && after != nil && before.Value.Name == after.Value.Name {
			return
		}
		// The new name first: at no moment is the user known by none.
		if after != nil {
			ids, _ := x.ids.get(after.Value.Name)
			x.ids.set(after.Value.Name, append(slices.Clip(ids), after.ID))
		}
		if before != nil {
			ids, _ := x.ids.get(before.Value.Name)
			ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == before.ID })
			if len(ids) == 0 {
				x.ids.remove(before.Value.Name)
			} else {
				x.ids.set(before.Value.Name, ids)
			}
		}
	})
}

// IsAnother implements [authn.SecretDirectory]: whether a user name is that of
// somebody who is known here, and not p's.
func (s *State) IsAnother(username string, p *authn.Principal) bool {
	if username == p.Name {
		return false
	}
	ids, ok := s.userNames.ids.get(username)
	return ok && !slices.Contains(ids, p.Identity().ID())
}
