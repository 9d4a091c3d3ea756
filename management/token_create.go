package management

import (
	"context"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
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
	count := 0
	for item := range m.state.Tokens.All() {
		if item.Value.User != user {
			continue
		}
		if count++; item.Value.Name == t.Name && m.alive(item.Value.Expires) {
			return nil, fail(CodeExists, "you have an access token called %q", t.Name)
		}
	}
	if count >= maxTokens {
		return nil, fail(CodeConflict, "you have %d access tokens: revoke some of them first", count)
	}
	secret, stored := authn.NewSecret(authn.SecretPersonalToken)
	parsed, err := authn.ParseSecret(secret)
	if err != nil {
		return nil, err
	}
	t.Hash = stored
	made := &TokenWithSecret{Secret: secret}
	err = again(ctx, func() error {
		var tx state.Tx
		state.Put(&tx, m.state.Tokens, parsed.ID, t, state.Absent)
		if id, u, before, _ := m.state.See(who.Principal); before == nil {
			m.state.PutUser(&tx, id, u, nil)
		}
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
	m.checkWithin(who, &wrong, t.Scopes, t.From, t.Expires)
	if limits := who.Principal.Limits; limits != nil {
		if t.Limits == nil {
			wrong.add("permissions", "are needed: your credential is limited itself")
		}
		for i, l := range t.Limits {
			if beyond := authz.Beyond(limits, l); beyond != 0 {
				wrong.add(at("permissions", i), "your credential is not good for %s on %s itself", beyond, l.Name)
			}
		}
	}
	return t, wrong.forbidden(moreThanShown)
}
