package methods

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
	Held
}

// CaddyModule returns the Caddy module information.
func (TrustedHeaders) CaddyModule() caddy.ModuleInfo {
	return info(authn.TrustedHeadersName, func() caddy.Module { return new(TrustedHeaders) })
}

// UnmarshalCaddyfile reads in which headers a proxy names people:
//
//	trusted_headers {
//		user               <header>
//		email              <header>
//		groups             <header>
//		roles              <header>
//		separator          <text>
//		prefix             <prefix>
//		trusted_proxies
//		from               <network...>
//		client_certificate <source> <pattern>
//		authority          <sha256:… or file...>
//	}
func (t *TrustedHeaders) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	if err := t.options().Read(d, "trusted_headers"); err != nil {
		return err
	}
	return caddyfile.Valid(d, t.TrustedHeadersConfig)
}

func (t *TrustedHeaders) options() caddyfile.Options {
	return caddyfile.Options{
		"user":               caddyfile.Text(&t.User),
		"email":              caddyfile.Text(&t.Email),
		"groups":             caddyfile.Text(&t.Groups),
		"roles":              caddyfile.Text(&t.Roles),
		"separator":          caddyfile.Text(&t.Separator),
		"prefix":             caddyfile.Text(&t.Prefix),
		"trusted_proxies":    caddyfile.Flag(&t.TrustedProxies),
		"from":               caddyfile.List(&t.From),
		"client_certificate": certificateIdentity(&t.Certificates, 2),
		"authority":          caddyfile.List(&t.Authorities),
	}
}

// Provision compiles the settings. Where certificates count, the site must
// verify them.
func (t *TrustedHeaders) Provision(ctx caddy.Context) error {
	if len(t.Certificates) > 0 {
		if err := verifiesClients(ctx); err != nil {
			return fmt.Errorf("trusted_headers: client_certificate: %w", err)
		}
	}
	return t.keep(authn.NewTrustedHeaders(t.TrustedHeadersConfig))
}
