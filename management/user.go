package management

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
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

	versioned
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
	var changed *User
	err := m.again(ctx, func() error {
		item, ok := m.state.Users.Get(id)
		if !ok {
			return noUser(id)
		}
		next := *item.Value
		change(&next)
		same := equalRecord(item.Value, &next)
		if err := match.check(item.Revision, m.didBefore(ctx, who, userObject(id, &next), match, item.Revision, same)); err != nil {
			return err
		}
		tokens, sessions := m.countOfUsers()
		changed = showUser(id, &next, item.Revision, tokens[id], sessions[id])
		if same {
			return unchanged(ctx, m, m.state.Users, item)
		}
		var tx state.Tx
		state.Put(&tx, m.state.Users, id, &next, state.Unchanged(item))
		tx.Note(who.Actor(), action, userObject(id, &next), userStanding(item.Value), userStanding(&next))
		return m.commit(ctx, who, &tx, changed)
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
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
		NotBefore: timeOf(u.NotBefore), Tokens: tokens, Sessions: sessions, versioned: versioned{revision},
	}
}

func userObject(id string, u *state.User) state.Object {
	return state.Object{Kind: "user", ID: id, Name: u.Name}
}

func noUser(id string) error { return fail(CodeNotFound, "no user %.128q has been seen", id) }

// onName returns what hangs on the name of a user and not on who that is: stored
// role mappings, memberships of stored projects, and owners of whom only the name
// is known.
func (m *Manager) onName(name string) []string {
	subject := "user:" + name
	var found []string
	for item := range m.state.RoleMappings.All() {
		if item.Value.Principal == subject || item.Value.Principal == name {
			found = append(found, "role "+item.Value.Role)
		}
	}
	for item := range m.state.Projects.All() {
		for _, member := range item.Value.Members {
			if slices.Contains(member.Subjects, subject) {
				found = append(found, "member of project "+item.Value.Name)
				break
			}
		}
	}
	for item := range m.state.Owners.All() {
		if item.Value.Identity == "" && item.Value.Principal == subject {
			found = append(found, "owner of "+ownedName(item.ID))
		}
	}
	slices.Sort(found)
	return found
}

// ownedBefore returns the repositories and namespaces that somebody of this
// identity owned who has vanished since.
func (m *Manager) ownedBefore(id string) []string {
	var found []string
	for item := range m.state.Owners.All() {
		if item.Value.Identity == state.FormerIdentity(id) {
			found = append(found, ownedName(item.ID))
		}
	}
	slices.Sort(found)
	return found
}

// SignOut ends everything that was issued to a user until now: browsers, docker
// logins, personal access tokens, registry tokens, and tokens of the identity
// provider. The user may sign in again.
func (m *Manager) SignOut(ctx context.Context, who *Caller, id string) error {
	if err := m.needsAdmin(who, ScopeUsersWrite); err != nil {
		return err
	}
	return m.endUser(ctx, who, id, "user.sign_out", func(tx *state.Tx, item *state.Item[state.User]) error {
		next := *item.Value
		next.NotBefore = later(m.now().UTC(), next.NotBefore.Add(time.Nanosecond))
		state.Put(tx, m.state.Users, id, &next, state.Unchanged(item))
		return nil
	})
}

// ForgetUser removes all that is known of a user and all that it has. It comes
// back as somebody new when it signs in again; so one who is locked out is not
// forgotten.
func (m *Manager) ForgetUser(ctx context.Context, who *Caller, id string) error {
	if err := m.needsAdmin(who, ScopeUsersWrite); err != nil {
		return err
	}
	return m.endUser(ctx, who, id, "user.forget", func(tx *state.Tx, item *state.Item[state.User]) error {
		u := item.Value
		if u.Disabled {
			return fail(CodeConflict, "user %s is locked out, which would be forgotten too: let it in first", u.Name)
		}
		state.Delete(tx, m.state.Users, id, state.Unchanged(item))
		// Registry tokens know no user id: they end by the name.
		m.revoke(tx, who, state.RevokePrincipal(string(authn.KindUser)+":"+u.Name), "user forgotten")
		return nil
	})
}

// endUser deletes what was issued to a user.
func (m *Manager) endUser(ctx context.Context, who *Caller, id, action string, change func(*state.Tx, *state.Item[state.User]) error) error {
	return m.again(ctx, func() error {
		item, ok := m.state.Users.Get(id)
		if !ok {
			return noUser(id)
		}
		m.state.Barrier() // what was made before the record was as it is is seen now
		var tx state.Tx
		if err := change(&tx, item); err != nil {
			return err
		}
		tx.Note(who.Actor(), action, userObject(id, item.Value), nil, map[string]int{
			"sessions":        endAll(&tx, m.state.Sessions, func(v *state.Session) bool { return v.User == id }),
			"identity_tokens": endAll(&tx, m.state.IdentityTokens, func(v *state.IdentityToken) bool { return v.User == id }),
			"device_logins":   endAll(&tx, m.state.DeviceLogins, func(v *state.DeviceLogin) bool { return v.User == id }),
			"access_tokens":   endAll(&tx, m.state.Tokens, func(v *state.Token) bool { return v.User == id }),
		})
		if err := m.commit(ctx, who, &tx, nil); err != nil {
			return err
		}
		m.settle(ctx, &tx)
		return nil
	})
}

// endAll deletes the records of which something is true.
func endAll[T any](tx *state.Tx, t *state.Table[T], of func(*T) bool) int {
	n := 0
	for item := range t.All() {
		if of(item.Value) {
			state.Delete(tx, t, item.ID, store.Precondition{})
			n++
		}
	}
	return n
}

// userRoutes are about the people who have been seen. All are for
// administrators.
func (a *API) userRoutes() []route {
	m := a.manager
	x := collection[User]{
		path: "/users", variable: "id", group: "users", read: ScopeUsersRead,
	}
	set := func(disabled bool) func(c *call) (*answer, error) {
		return func(c *call) (*answer, error) {
			u, err := m.SetUserDisabled(c.request.Context(), c.who, c.path["id"], disabled, c.match)
			return x.answer(u, false, err)
		}
	}
	return []route{
		x.search("listUsers", "The people who have been seen.", []queryParameter{
			{"q", "Only those with this text in name, address, subject or a group.", schema{"type": "string", "maxLength": 128}},
			{"disabled", "true: only those who cannot come in.", schema{"type": "string", "enum": []string{"true", "false"}}},
		}, func(c *call, p PageQuery) (*Page[*User], error) {
			q := c.request.URL.Query()
			disabled, err := flagOf(q, "disabled")
			if err != nil {
				return nil, err
			}
			return m.Users(c.who, UserQuery{PageQuery: p, Text: q.Get("q"), Disabled: disabled})
		}, CodeForbidden),
		x.get("getUser", "A person.", m.User, CodeForbidden, CodeNotFound),
		{
			method: http.MethodPost, path: "/users/{id}/disable", id: "disableUser", group: "users", scope: ScopeUsersWrite,
			summary: "Locks a user out, at once and with all that it has.", status: http.StatusOK, result: of[User](), versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict}, serve: set(true),
		},
		{
			method: http.MethodPost, path: "/users/{id}/enable", id: "enableUser", group: "users", scope: ScopeUsersWrite,
			summary: "Lets a user in again.", status: http.StatusOK, result: of[User](), versioned: true,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict}, serve: set(false),
		},
		{
			method: http.MethodPost, path: "/users/{id}/sign-out", id: "signOutUser", group: "users", scope: ScopeUsersWrite,
			summary: "Ends everything that was issued to a user until now, access tokens too.", status: http.StatusNoContent,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.SignOut(c.request.Context(), c.who, c.path["id"])
			},
		},
		{
			method: http.MethodDelete, path: "/users/{id}", id: "forgetUser", group: "users", scope: ScopeUsersWrite,
			summary: "Removes all that is known of a user, and all that it has.", status: http.StatusNoContent,
			fails: []Code{CodeForbidden, CodeNotFound, CodeConflict},
			serve: func(c *call) (*answer, error) {
				return &answer{}, m.ForgetUser(c.request.Context(), c.who, c.path["id"])
			},
		},
	}
}
