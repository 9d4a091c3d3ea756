package authn

import (
	"context"
	"slices"
)

// PeoplesPasswords implements [PeoplesPasswords].
func (e *External) PeoplesPasswords() bool {
	return slices.Contains(e.config.Credentials, externalPassword)
}

// BreakGlass implements [BreakGlass]: bearer tokens are no passwords.
func (e *External) BreakGlass() Authenticator {
	if !slices.Contains(e.config.Credentials, externalBearer) {
		return nil
	}
	return externalTokens{e}
}

// externalTokens is the part of an [External] that is asked about tokens.
type externalTokens struct{ *External }

// Authenticate implements [Authenticator]. A token in the place of a password
// is one all the same.
func (t externalTokens) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if c.Scheme == SchemeBasic && !looksLikeJWT(c.Secret) {
		return nil, ErrNotMine
	}
	return t.External.Authenticate(ctx, c)
}
