package authn

import (
	"context"
	"fmt"
	"slices"
)

// Facts implements [Described].
func (e *External) Facts() Facts {
	return Facts{Name: e.Name(), Prefix: e.config.Prefix, People: true, Passwords: slices.Contains(e.config.Credentials, externalPassword)}
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

// Recheck implements [Rechecker]: what passwords were exchanged for ends.
func (t externalTokens) Recheck(p *Principal, c *Credential) error {
	if p.Origin != CredentialExternalToken {
		return fmt.Errorf("%w: %s did not sign in with a token, and passwords are switched off", ErrDisabled, p)
	}
	return t.External.Recheck(p, c)
}

// Recheck implements [Rechecker]: a registry token is good while the service is
// asked about credentials of the kind that it was issued for.
func (e *External) Recheck(p *Principal, _ *Credential) error {
	asked := map[string]string{CredentialExternalPassword: externalPassword, CredentialExternalToken: externalBearer}[p.Origin]
	if asked != "" && !slices.Contains(e.config.Credentials, asked) {
		return fmt.Errorf("%w: the service is not asked about a %s any more", ErrDisabled, asked)
	}
	return nil
}
