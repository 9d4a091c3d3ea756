package registryauth

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// TrustedHeaders is the authenticator for identities that a proxy in front has
// established and names in headers.
type TrustedHeaders struct {
	authn.TrustedHeadersConfig

	*authn.TrustedHeaders `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (TrustedHeaders) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + "." + authn.TrustedHeadersName, New: func() caddy.Module { return new(TrustedHeaders) }}
}

// UnmarshalCaddyfile reads a `trusted_headers` block.
func (t *TrustedHeaders) UnmarshalCaddyfile(d *caddycf.Dispenser) (err error) {
	if !d.Next() {
		return d.ArgErr()
	}
	t.TrustedHeadersConfig, err = caddyfile.TrustedHeaders(d)
	return err
}

// Provision compiles the settings. Where certificates count, the site must
// verify them.
func (t *TrustedHeaders) Provision(ctx caddy.Context) (err error) {
	if len(t.Certificates) > 0 {
		if err := verifiesClients(ctx); err != nil {
			return fmt.Errorf("trusted_headers: client_certificate: %w", err)
		}
	}
	t.TrustedHeaders, err = authn.NewTrustedHeaders(t.TrustedHeadersConfig)
	return err
}

// NamePrefix is what the names start with.
func (t *TrustedHeaders) NamePrefix() string { return t.Prefix }
