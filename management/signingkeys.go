package management

import (
	"context"
	"time"

	answers "github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// SigningKeys are the keys of registry tokens: a [keys.Ring].
type SigningKeys interface {
	ListKeys() []keys.Info
	Rotate(ctx context.Context) error
	Revoke(ctx context.Context) error
}

// SigningKey is a key of registry tokens, without the key.
type SigningKey struct {
	ID            string     `json:"id" doc:"The kid that it is published with."`
	Algorithm     string     `json:"algorithm" enum:"ES256,RS256,EdDSA"`
	Created       time.Time  `json:"created"`
	UseFrom       time.Time  `json:"use_from" doc:"From when it signs."`
	RetiredAt     *time.Time `json:"retired_at,omitempty" doc:"When it stops to sign."`
	AcceptedUntil *time.Time `json:"accepted_until,omitempty" doc:"When the last of its tokens has ended."`
	Signs         bool       `json:"signs" doc:"New tokens are signed with it."`
}

// SigningKeyList are all of them.
type SigningKeyList struct {
	Items []SigningKey `json:"items" doc:"The oldest first."`
}

// SigningKeys lists the keys of registry tokens.
func (m *Manager) SigningKeys(who *Caller) (*SigningKeyList, error) {
	keys, err := m.signing(who, ScopeSigningRead)
	if err != nil {
		return nil, err
	}
	return showKeys(keys), nil
}

// RotateSigningKeys publishes a new key, which signs as soon as everybody had
// the time to fetch it. Tokens that were signed before stay good.
func (m *Manager) RotateSigningKeys(ctx context.Context, who *Caller) (*SigningKeyList, error) {
	return m.changeKeys(ctx, who, "signing_keys.rotate", SigningKeys.Rotate)
}

// RevokeSigningKeys replaces all keys at once, after one has leaked: every
// registry token is refused from now on.
func (m *Manager) RevokeSigningKeys(ctx context.Context, who *Caller) (*SigningKeyList, error) {
	return m.changeKeys(ctx, who, "signing_keys.revoke", SigningKeys.Revoke)
}

func (m *Manager) changeKeys(ctx context.Context, who *Caller, action string, change func(SigningKeys, context.Context) error) (*SigningKeyList, error) {
	keys, err := m.signing(who, ScopeSigningWrite)
	if err != nil {
		return nil, err
	}
	before := showKeys(keys)
	if err := change(keys, ctx); err != nil {
		return nil, err
	}
	after := showKeys(keys)
	var tx state.Tx
	tx.Note(who.Actor(), action, state.Object{Kind: "signing_keys", ID: "signing_keys"}, before, after)
	return after, m.commit(ctx, who, &tx, after)
}

func (m *Manager) signing(who *Caller, scope Scope) (SigningKeys, error) {
	if err := m.needsAdmin(who, scope); err != nil {
		return nil, err
	}
	if m.keys == nil {
		return nil, fail(CodeUnavailable, "the signing keys are not ready yet")
	}
	keys := m.keys()
	if keys == nil {
		return nil, AsError(answers.Starting.Err())
	}
	return keys, nil
}

func showKeys(keys SigningKeys) *SigningKeyList {
	out := &SigningKeyList{Items: []SigningKey{}}
	for _, k := range keys.ListKeys() {
		out.Items = append(out.Items, SigningKey{
			ID: k.ID, Algorithm: string(k.Algorithm), Created: k.Created, UseFrom: k.UseFrom,
			RetiredAt: timeOf(k.RetiredAt), AcceptedUntil: timeOf(k.AcceptedUntil), Signs: k.Signs,
		})
	}
	return out
}
