package methods

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// MTLS is the authenticator for machines with a client certificate, which
// Caddy has verified: the site needs `tls { client_auth … }`.
type MTLS struct {
	authn.MTLSConfig
	Held
}

// CaddyModule returns the Caddy module information.
func (MTLS) CaddyModule() caddy.ModuleInfo {
	return info(authn.MTLSName, func() caddy.Module { return new(MTLS) })
}

// UnmarshalCaddyfile reads whom client certificates stand for:
//
//	mtls [<name>] {
//		identity  <source> [<pattern> [<name>]]
//		kind      workload|robot|user
//		prefix    <prefix>
//		authority <sha256:… or file...>
//	}
func (m *MTLS) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	args := d.RemainingArgs()
	if len(args) > 1 {
		return d.ArgErr()
	}
	if len(args) == 1 {
		m.Name = args[0]
	}
	if err := m.options().Read(d, "mtls"); err != nil {
		return err
	}
	return caddyfile.Valid(d, m.MTLSConfig)
}

func (m *MTLS) options() caddyfile.Options {
	return caddyfile.Options{
		"identity":  certificateIdentity(&m.Identities, 3),
		"kind":      caddyfile.Text(&m.Kind),
		"prefix":    caddyfile.Text(&m.Prefix),
		"authority": caddyfile.List(&m.Authorities),
	}
}

// certificateIdentity reads where a name stands in a certificate, what it must
// look like, and how its owner is called: at most that many words.
func certificateIdentity(to *[]authn.CertificateIdentity, most int) caddyfile.Option {
	return func(d *caddycf.Dispenser) error {
		name, args := d.Val(), d.RemainingArgs()
		if len(args) == 0 || len(args) > most {
			return d.Errf("%s: want spiffe, dns, email, common_name or subject, and a pattern", name)
		}
		args = append(args, "", "")
		identity := authn.CertificateIdentity{Source: args[0], Match: args[1], Name: args[2]}
		*to = append(*to, identity)
		return caddyfile.Valid(d, identity)
	}
}

// Provision compiles the identities, and refuses a site on which no client
// certificate could ever be verified.
func (m *MTLS) Provision(ctx caddy.Context) error {
	if err := verifiesClients(ctx); err != nil {
		return fmt.Errorf("mtls: %w", err)
	}
	return m.keep(authn.NewMTLS(m.MTLSConfig, nil))
}

var errNoClientAuth = errors.New("the site does not verify client certificates: write `tls { client_auth { mode verify_if_given; trust_pool file <authority> } }` on it, with require_and_verify if every client must have one")

// verifiesClients reports whether the server that is being provisioned can
// ever verify a client certificate against authorities of its own. Without a
// trust pool those of the operating system would do, who certify anybody.
func verifiesClients(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server == nil {
		return nil // not within a server, as in a test of the module
	}
	verified := 0 // by how many policies, that is sites
	for _, policy := range server.TLSConnPolicies {
		c := policy.ClientAuthentication
		if c == nil || !verifies(c) {
			continue
		}
		if !hasAuthorities(c) {
			return errors.New("client_auth has no trust_pool: the certificate of any public authority would be accepted")
		}
		verified++
	}
	if verified == 0 {
		return errNoClientAuth
	}
	if verified > 1 && server.StrictSNIHost != nil && !*server.StrictSNIHost {
		return errors.New("strict_sni_host is insecure_off: a certificate that another site has verified would count here")
	}
	return nil
}

// verifies reports whether a mode verifies certificates; "request" and
// "require" take any.
func verifies(c *caddytls.ClientAuthentication) bool {
	switch c.Mode {
	case "verify_if_given", "require_and_verify":
		return true
	case "":
		return hasAuthorities(c)
	}
	return false
}

func hasAuthorities(c *caddytls.ClientAuthentication) bool {
	return c.CARaw != nil || len(c.TrustedCACertPEMFiles)+len(c.TrustedCACerts) > 0 //nolint:staticcheck // deprecated, and still what some write
}
