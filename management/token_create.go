package management

import (
	"context"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// CreateToken makes an access token for the caller, who must be a person. One
// that was made with another token is good for no more, from nowhere else and
// no longer than that.
func (m *Manager) CreateToken(ctx context.Context, who *Caller, in NewToken) (*TokenWithSecret, error) {
	if err := needs(who, ScopeTokensWrite); err != nil {
		return nil, err
	}
	if err := mayCreate(who); err != nil {
		return nil, err
	}
	user, isUser := userOf(who)
	if !isUser {
		return nil, fail(CodeForbidden, "access tokens are for people: sign in as one, or make a robot")
	}
	t, err := m.checkToken(who, in)
	if err != nil {
		return nil, err
	}
	t.User, t.Created = user, m.second()
	secret, stored := authn.NewSecret(authn.SecretPersonalToken)
	parsed, err := authn.ParseSecret(secret)
	if err != nil {
		return nil, err
	}
	t.Hash = stored
	made := &TokenWithSecret{Secret: secret}
	err = m.counted(ctx, func() error {
		if err := m.roomForToken(t); err != nil {
			return err
		}
		var tx state.Tx
		state.Put(&tx, m.state.Tokens, parsed.ID, t, state.Absent)
		// The user's record is written each time, as it is, so that of two tokens
		// that are made at once one is counted by the other.
		id, u, before, _ := m.state.See(who.Principal)
		if before != nil {
			u = before.Value
		}
		m.state.PutUser(&tx, id, u, before)
		made.AccessToken = *m.showToken(parsed.ID, t, 0)
		tx.Note(who.Actor(), "token.create", tokenObject(parsed.ID, t), nil, &made.AccessToken)
		return m.commit(ctx, who, &tx, made)
	})
	if err != nil {
		return nil, err
	}
	if item, ok := m.state.Tokens.Get(parsed.ID); ok {
		made.revision = item.Revision
	}
	return made, nil
}

// roomForToken returns an error if a user has as many tokens as one may have, or
// one of that name.
func (m *Manager) roomForToken(t *state.Token) error {
	count := 0
	for item := range m.state.Tokens.All() {
		if item.Value.User != t.User {
			continue
		}
		if count++; item.Value.Name == t.Name && m.alive(item.Value.Expires) {
			return fail(CodeExists, "you have an access token called %q", t.Name)
		}
	}
	if count >= maxTokens {
		return fail(CodeConflict, "you have %d access tokens: revoke some of them first", count)
	}
	return nil
}

func (m *Manager) alive(expires time.Time) bool { return expires.IsZero() || m.now().Before(expires) }

// checkToken checks what is said of a token, and that it is not more than what
// the caller shows.
func (m *Manager) checkToken(who *Caller, in NewToken) (*state.Token, error) {
	var wrong problems
	t := &state.Token{Name: in.Name, Scopes: in.Scopes, From: in.From}
	most := m.config.TokenMaxLifetime
	switch {
	case in.Never && in.Expires != nil:
		wrong.add("never_expires", "give either this or expires")
	case in.Expires != nil:
		t.Expires = in.Expires.UTC().Truncate(time.Second)
	case !in.Never:
		usual := usualTokenLifetime
		if most > 0 {
			usual = min(usual, time.Duration(most))
		}
		t.Expires = m.second().Add(usual)
		if isLasting(who) && who.expires.Before(t.Expires) && !who.expires.IsZero() {
			t.Expires = who.expires
		}
	}
	m.checkLifetime(&wrong, "expires", t.Expires, most)
	m.checkFrom(&wrong, "from", in.From)
	for i, s := range in.Scopes {
		wrong.check(at("scopes", i), CheckScope(s))
	}
	if in.Permissions != nil {
		t.Limits = append([]authn.Limit{}, limitsOf("permissions", *in.Permissions, &wrong)...)
	}
	checkPrintable(&wrong, "name", in.Name)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	m.mayHandOn(who, handed{scopes: t.Scopes, from: t.From, expires: t.Expires, owned: true}, &wrong)
	withinLimits(who, t.Limits, &wrong)
	return t, wrong.forbidden(moreThanShown)
}
