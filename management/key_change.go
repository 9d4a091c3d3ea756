package management

import (
	"context"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// ChangeKey disables a key, or enables it again.
func (m *Manager) ChangeKey(ctx context.Context, who *Caller, id string, in KeyInput, match Match) (*Key, error) {
	var changed *Key
	err := m.withKey(ctx, who, id, match, func(item *state.Item[state.APIKey]) error {
		next := *item.Value
		next.Disabled = in.Disabled
		if item.Value.Disabled && !next.Disabled {
			var wrong problems
			m.mayHandOn(who, handed{scopes: next.Scopes, from: next.From, expires: next.Expires}, &wrong)
			if err := wrong.forbidden(moreThanShown); err != nil {
				return err
			}
		}
		if equalRecord(item.Value, &next) {
			changed = m.showKey(id, item.Value, item.Revision)
			return nil
		}
		changed = m.showKey(id, &next, 0)
		var tx state.Tx
		state.Put(&tx, m.state.APIKeys, id, &next, state.Unchanged(item))
		tx.Note(who.Actor(), "api_key.update", keyObject(id, &next), m.showKey(id, item.Value, 0), changed)
		if err := m.commit(ctx, who, &tx, changed); err != nil {
			return err
		}
		if item, ok := m.state.APIKeys.Get(id); ok {
			changed.revision = item.Revision
		}
		return nil
	})
	return changed, err
}

// DeleteKey deletes a key.
func (m *Manager) DeleteKey(ctx context.Context, who *Caller, id string, match Match) error {
	return m.withKey(ctx, who, id, match, func(item *state.Item[state.APIKey]) error {
		var tx state.Tx
		state.Delete(&tx, m.state.APIKeys, id, state.Unchanged(item))
		tx.Note(who.Actor(), "api_key.delete", keyObject(id, item.Value), m.showKey(id, item.Value, 0), nil)
		return m.commit(ctx, who, &tx, nil)
	})
}

// withKey does something to a key that the caller may change: one that is good
// for no more than what it shows itself.
func (m *Manager) withKey(ctx context.Context, who *Caller, id string, match Match, do func(*state.Item[state.APIKey]) error) error {
	if err := m.needsAdmin(who, ScopeKeysWrite); err != nil {
		return err
	}
	if m.static(id) != nil {
		return fail(CodeDeclared, "key %.100q stands in the configuration: change it there", id)
	}
	return again(ctx, func() error {
		item, ok := m.state.APIKeys.Get(id)
		if !ok {
			return noKey(id)
		}
		if err := match.check(item.Revision); err != nil {
			return err
		}
		if !who.scopes.hasAll(item.Value.Scopes) {
			return fail(CodeForbidden, "the key is good for more than your credential")
		}
		return do(item)
	})
}
