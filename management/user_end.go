package management

import (
	"context"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// SignOut ends everything that was issued to a user until now: browsers, docker
// logins, personal access tokens, registry tokens, and tokens of the identity
// provider. The user may sign in again.
func (m *Manager) SignOut(ctx context.Context, who *Caller, id string) error {
	if err := m.needsAdmin(who, ScopeUsersWrite); err != nil {
		return err
	}
	return m.endUser(ctx, who, id, "user.sign_out", func(tx *state.Tx, item *state.Item[state.User]) error {
		next := *item.Value
		next.NotBefore = m.now().UTC()
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
	return again(ctx, func() error {
		item, ok := m.state.Users.Get(id)
		if !ok {
			return noUser(id)
		}
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
		return m.commit(ctx, who, &tx, nil)
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
