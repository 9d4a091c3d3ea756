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

// BasicExchange is the authenticator for user names and passwords that an
// identity provider exchanges for a token: those of its clients or, if that is
// switched on, of people.
type BasicExchange struct {
	authn.BasicExchangeConfig

	// Certificate authorities for the connection to the provider.
	// Default: those of the operating system.
	CARaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	exchange basicExchange
	poolKey  string
}

// basicExchange is an authenticator in the pool: a reload that leaves its settings
// alone keeps the provider's keys and who has signed in.
type basicExchange struct{ *authn.BasicExchange }

// Destruct has nothing to close: requests in flight may still sign in.
func (basicExchange) Destruct() error { return nil }

// CaddyModule returns the Caddy module information.
func (BasicExchange) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + "." + authn.BasicExchangeName, New: func() caddy.Module { return new(BasicExchange) }}
}

// UnmarshalCaddyfile reads a `basic_exchange` block.
func (b *BasicExchange) UnmarshalCaddyfile(d *caddycf.Dispenser) (err error) {
	if !d.Next() {
		return d.ArgErr()
	}
	b.BasicExchangeConfig, b.CARaw, err = caddyfile.BasicExchange(d)
	return err
}

// Provision resolves the placeholder of the client secret and prepares the
// authenticator; it does not touch the network.
func (b *BasicExchange) Provision(ctx caddy.Context) error {
	config := b.BasicExchangeConfig
	if grant := config.PasswordGrant; grant != nil && grant.ClientSecret != "" {
		resolved := *grant
		var err error
		if resolved.ClientSecret, err = caddyfile.Resolve("client_secret", grant.ClientSecret); err != nil {
			return err
		}
		config.PasswordGrant = &resolved
	}
	key, err := settingsKey(authn.BasicExchangeName, config, b.CARaw)
	if err != nil {
		return err
	}
	var roots any
	if b.CARaw != nil {
		if roots, err = ctx.LoadModule(b, "CARaw"); err != nil {
			return fmt.Errorf("loading trust_pool: %w", err)
		}
	}
	transport, err := issuerTransport(roots)
	if err != nil {
		return err
	}
	value, _, err := process.Pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		a, err := authn.NewBasicExchange(config, authn.Options{Transport: transport, Logger: caddy.Log().Named("registry_auth.basic_exchange")})
		return basicExchange{a}, err
	})
	if err != nil {
		return err
	}
	b.poolKey = key
	b.exchange, _ = value.(basicExchange)
	return nil
}

// settingsKey names settings in the pool: other settings, and other values of
// their secrets, are another thing. The secrets are not in the name.
func settingsKey(kind string, settings ...any) (string, error) {
	text, err := json.Marshal(settings)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s:%x", kind, sha256.Sum256(text)), nil
}

// AuthenticatorName tells the providers of a realm apart.
func (b *BasicExchange) AuthenticatorName() string { return b.exchange.Name() }

// NamePrefix is what names of this provider's users start with.
func (b *BasicExchange) NamePrefix() string { return b.Prefix }

// NameSource says whose names these are.
func (b *BasicExchange) NameSource() (issuer, claim string) {
	if b.PasswordGrant == nil {
		return b.Issuer, "" // no people
	}
	return b.Issuer, userClaim(b.Username)
}

// WorkloadPrefix is what names of this provider's clients start with.
func (b *BasicExchange) WorkloadPrefix() (string, bool) { return b.Prefix, b.UsesClientCredentials() }

// PeoplesPasswords reports whether people's passwords are taken.
func (b *BasicExchange) PeoplesPasswords() bool { return b.PasswordGrant != nil }

// BreakGlass returns what goes on where passwords are off: clients.
func (b *BasicExchange) BreakGlass() authn.Authenticator { return b.exchange.BreakGlass() }

// Start fetches the provider's keys in the background.
func (b *BasicExchange) Start(ctx context.Context) { b.exchange.Start(ctx) }

// Cleanup gives the authenticator back to the pool.
func (b *BasicExchange) Cleanup() error {
	if b.poolKey == "" {
		return nil
	}
	_, err := process.Pool.Delete(b.poolKey)
	b.poolKey = ""
	return err
}

// Authenticate exchanges a password for a token.
func (b *BasicExchange) Authenticate(ctx context.Context, c *authn.Credential) (*authn.Principal, error) {
	return b.exchange.Authenticate(ctx, c)
}

// Recheck reports whether somebody who holds a registry token is still good.
func (b *BasicExchange) Recheck(p *authn.Principal, c *authn.Credential) error {
	return b.exchange.Recheck(p, c)
}
