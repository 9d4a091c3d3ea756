package registryauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// OIDC is the authenticator for ID tokens of one OpenID provider. The
// provider is first asked for its keys in the background and then when a
// token arrives, so that Caddy starts without it.
type OIDC struct {
	authn.OIDCConfig

	// Certificate authorities for the connection to the provider.
	// Default: those of the operating system.
	CARaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	provider provider
	poolKey  string
}

// provider is a verifier in the pool: a reload that leaves its settings alone
// keeps the keys that were fetched and the tokens that were verified.
type provider struct{ *authn.OIDC }

// Destruct has nothing to close: requests in flight may still verify.
func (provider) Destruct() error { return nil }

// CaddyModule returns the Caddy module information.
func (OIDC) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + ".oidc", New: func() caddy.Module { return new(OIDC) }}
}

// UnmarshalCaddyfile reads an `oidc` block.
func (o *OIDC) UnmarshalCaddyfile(d *caddycf.Dispenser) (err error) {
	if !d.Next() {
		return d.ArgErr()
	}
	o.OIDCConfig, o.CARaw, err = caddyfile.OIDC(d)
	return err
}

// Provision prepares the verifier; it does not touch the network.
func (o *OIDC) Provision(ctx caddy.Context) error {
	settings, err := json.Marshal(o)
	if err != nil {
		return err
	}
	var roots any
	if o.CARaw != nil {
		if roots, err = ctx.LoadModule(o, "CARaw"); err != nil {
			return fmt.Errorf("loading trust_pool: %w", err)
		}
	}
	transport, err := issuerTransport(roots)
	if err != nil {
		return err
	}
	config := o.OIDCConfig
	o.poolKey = "oidc:" + string(settings)
	if config.ClientSecret != "" {
		if config.ClientSecret, err = caddyfile.Resolve("client_secret", config.ClientSecret); err != nil {
			o.poolKey = ""
			return fmt.Errorf("oidc %s: %w", o.Issuer, err)
		}
		// A secret that was changed behind its placeholder is another one.
		o.poolKey += fmt.Sprintf("\x00%x", sha256.Sum256([]byte(config.ClientSecret)))
	}
	value, _, err := process.Pool.LoadOrNew(o.poolKey, func() (caddy.Destructor, error) {
		verifier, err := authn.NewOIDC(config, authn.Options{Transport: transport, Logger: caddy.Log().Named("registry_auth.oidc")})
		if err != nil {
			return nil, err
		}
		return provider{verifier}, nil
	})
	if err != nil {
		o.poolKey = ""
		return err
	}
	o.provider, _ = value.(provider)
	return nil
}

// AuthenticatorName tells the providers of a realm apart.
func (o *OIDC) AuthenticatorName() string { return o.provider.Name() }

// TokenIssuer is whose tokens are verified.
func (o *OIDC) TokenIssuer() string { return o.Issuer }

// IdentityIssuer is the issuer that the provider's users are known by.
func (o *OIDC) IdentityIssuer() string { return o.OIDCConfig.IdentityIssuer() }

// NamePrefix is what names of this provider's users start with.
func (o *OIDC) NamePrefix() string { return o.Prefix }

// NameSource says whose names these are.
func (o *OIDC) NameSource() (issuer, claim string) { return o.Issuer, userClaim(o.Username) }

// Start fetches the provider's keys in the background.
func (o *OIDC) Start(ctx context.Context) { o.provider.Start(ctx) }

// Cleanup gives the verifier back to the pool.
func (o *OIDC) Cleanup() error {
	if o.poolKey == "" {
		return nil
	}
	_, err := process.Pool.Delete(o.poolKey)
	o.poolKey = ""
	return err
}

// Authenticate verifies an ID token.
func (o *OIDC) Authenticate(ctx context.Context, c *authn.Credential) (*authn.Principal, error) {
	return o.provider.Authenticate(ctx, c)
}

// Recheck reports whether a user who holds a registry token is still good.
func (o *OIDC) Recheck(p *authn.Principal, c *authn.Credential) error {
	return o.provider.Recheck(p, c)
}

// SignInProvider is where people sign in with the browser; nil if they do not.
func (o *OIDC) SignInProvider() *authn.OIDC {
	if !o.SignsIn() {
		return nil
	}
	return o.provider.OIDC
}

// userClaim is the claim with the user name, or its default.
func userClaim(configured string) string {
	if configured == "" {
		return "preferred_username"
	}
	return configured
}
