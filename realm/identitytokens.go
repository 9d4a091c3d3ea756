package realm

import (
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// newLogins makes the identity tokens of a realm.
func (r *Realm) newLogins(run *Running) *state.Logins {
	return run.state.NewLogins(state.LoginConfig{
		Lifetime:   r.token.RefreshLifetime(),
		Idle:       r.token.RefreshIdle(),
		Rotate:     r.token.RefreshTokenRotation == tokenendpoint.On,
		SameClient: r.token.RefreshTokenClient == tokenendpoint.SameClient,
	}, func(p *authn.Principal, c *authn.Credential) error {
		if p.Credential == state.CredentialToken {
			return run.vouching.Vouch(p, c)
		}
		return run.Front.Chain.Vouch(p, c)
	})
}
