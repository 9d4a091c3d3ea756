package management

import (
	"context"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// User is a person who has been seen.
type User struct {
	ID            string    `json:"id" doc:"Who it is for good, whatever the name."`
	Name          string    `json:"name" doc:"The name as rules have it, when it was seen last."`
	Email         string    `json:"email,omitempty"`
	Issuer        string    `json:"issuer,omitempty"`
	Subject       string    `json:"subject,omitempty"`
	Authenticator string    `json:"authenticator,omitempty" doc:"What vouched for it last."`
	Groups        []string  `json:"groups,omitempty"`
	Roles         []string  `json:"roles,omitempty"`
	FirstSeen     time.Time `json:"first_seen"`
	LastSeen      time.Time `json:"last_seen" doc:"To within ten minutes."`
	Disabled      bool      `json:"disabled" doc:"An administrator has locked it out."`
	Gone          bool      `json:"gone" doc:"The identity provider does not know it any more."`
	// NotBefore is when it was signed out everywhere.
	NotBefore *time.Time `json:"not_before,omitempty" doc:"What was issued to it earlier is refused."`
	Tokens    int        `json:"tokens" doc:"How many personal access tokens it has."`
	Sessions  int        `json:"sessions" doc:"How many browsers and docker logins are signed in."`
	// ByName is what whoever is called so has, and Former what somebody before
	// has left.
	ByName []string `json:"by_name,omitempty" doc:"Of one user: what hangs on the name and not on who it is: whoever is called so next has it too. Stored role mappings, memberships of stored projects, and owners of whom only the name is known."`
	Former []string `json:"former,omitempty" doc:"Of one user: what was owned by somebody of this identity before who is not there any more. It is nobody's until an administrator hands it over."`

	revision uint64
}

// UserQuery says which users are listed.
type UserQuery struct {
	PageQuery
	// Text, if it is not empty, is in the name, the address or the subject, or
	// is a group.
	Text string
	// Disabled: only those who cannot come in.
	Disabled bool
}

// Users lists the people who have been seen.
func (m *Manager) Users(who *Caller, q UserQuery) (*Page[*User], error) {
	if err := m.needsAdmin(who, ScopeUsersRead); err != nil {
		return nil, err
	}
	text := strings.ToLower(q.Text)
	matching := func(yield func(*state.Item[state.User]) bool) {
		for item := range m.state.Users.All() {
			v := item.Value
			found := text == ""
			for _, s := range append([]string{v.Name, v.Email, v.Subject, item.ID}, v.Groups...) {
				found = found || strings.Contains(strings.ToLower(s), text)
			}
			if found && (!q.Disabled || v.Disabled || v.Gone) && !yield(item) {
				return
			}
		}
	}
	tokens, sessions := m.countOfUsers()
	return page(q.PageQuery, matching, func(i *state.Item[state.User]) string { return i.ID }, func(i *state.Item[state.User]) *User {
		return showUser(i.ID, i.Value, i.Revision, tokens[i.ID], sessions[i.ID])
	})
}

// countOfUsers counts what every user has.
func (m *Manager) countOfUsers() (tokens, sessions map[string]int) {
	tokens, sessions = map[string]int{}, map[string]int{}
	now := m.now()
	for t := range m.state.Tokens.All() {
		if m.alive(t.Value.Expires) {
			tokens[t.Value.User]++
		}
	}
	for s := range m.state.Sessions.All() {
		if !s.Value.Ended(now) {
			sessions[s.Value.User]++
		}
	}
	for s := range m.state.IdentityTokens.All() {
		if !s.Value.Ended(now) {
			sessions[s.Value.User]++
		}
	}
	return tokens, sessions
}

// User returns a person by id.
func (m *Manager) User(who *Caller, id string) (*User, error) {
	if err := m.needsAdmin(who, ScopeUsersRead); err != nil {
		return nil, err
	}
	item, ok := m.state.Users.Get(id)
	if !ok {
		return nil, noUser(id)
	}
	tokens, sessions := m.countOfUsers()
	u := showUser(id, item.Value, item.Revision, tokens[id], sessions[id])
	u.ByName, u.Former = m.onName(u.Name), m.ownedBefore(id)
	return u, nil
}

// SetUserDisabled locks a user out, or lets it in again. Everything that was
// issued to a user who is locked out is refused at once; access tokens are good
// again when the user is.
func (m *Manager) SetUserDisabled(ctx context.Context, who *Caller, id string, disabled bool, match Match) (*User, error) {
	action := "user.enable"
	if disabled {
		action = "user.disable"
	}
	return m.changeUser(ctx, who, id, action, match, func(u *state.User) {
		u.Disabled = disabled
		if !disabled {
			u.Gone = false // until the provider says so again
		}
	})
}

func (m *Manager) changeUser(ctx context.Context, who *Caller, id, action string, match Match, change func(*state.User)) (*User, error) {
	if err := m.needsAdmin(who, ScopeUsersWrite); err != nil {
		return nil, err
	}
	err := again(ctx, func() error {
		item, ok := m.state.Users.Get(id)
		if !ok {
			return noUser(id)
		}
		if err := match.check(item.Revision); err != nil {
			return err
		}
		next := *item.Value
		change(&next)
		if equalRecord(item.Value, &next) {
			return nil
		}
		var tx state.Tx
		state.Put(&tx, m.state.Users, id, &next, state.Unchanged(item))
		tx.Note(who.Actor(), action, userObject(id, &next), userStanding(item.Value), userStanding(&next))
		return m.commit(ctx, who, &tx, nil)
	})
	if err != nil {
		return nil, err
	}
	item, ok := m.state.Users.Get(id)
	if !ok {
		return nil, noUser(id)
	}
	tokens, sessions := m.countOfUsers()
	return showUser(id, item.Value, item.Revision, tokens[id], sessions[id]), nil
}

// userStanding is what of a user an administrator changes.
func userStanding(u *state.User) any {
	return struct {
		Disabled  bool      `json:"disabled"`
		Gone      bool      `json:"gone"`
		NotBefore time.Time `json:"not_before,omitzero"`
	}{u.Disabled, u.Gone, u.NotBefore}
}

func showUser(id string, u *state.User, revision uint64, tokens, sessions int) *User {
	return &User{
		ID: id, Name: u.Name, Email: u.Email, Issuer: u.Issuer, Subject: u.Subject, Authenticator: u.Authenticator,
		Groups: u.Groups, Roles: u.Roles, FirstSeen: u.First, LastSeen: u.Last, Disabled: u.Disabled, Gone: u.Gone,
		NotBefore: timeOf(u.NotBefore), Tokens: tokens, Sessions: sessions, revision: revision,
	}
}

func userObject(id string, u *state.User) state.Object {
	return state.Object{Kind: "user", ID: id, Name: u.Name}
}

func noUser(id string) error { return fail(CodeNotFound, "no user %.128q has been seen", id) }
