package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// MTLS reads whom client certificates stand for:
//
//	mtls [<name>] {
//		identity  <source> [<pattern> [<name>]]
//		kind      workload|robot|user
//		prefix    <prefix>
//		authority <sha256:… or file...>
//	}
func MTLS(d *caddyfile.Dispenser) (authn.MTLSConfig, error) {
	var c authn.MTLSConfig
	args := d.RemainingArgs()
	if len(args) > 1 {
		return c, d.ArgErr()
	}
	if len(args) == 1 {
		c.Name = args[0]
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := mtlsLine(d, &c); err != nil {
			return c, err
		}
	}
	if err := c.Validate(); err != nil {
		return c, d.WrapErr(err)
	}
	return c, nil
}

func mtlsLine(d *caddyfile.Dispenser, c *authn.MTLSConfig) error {
	switch d.Val() {
	case "identity":
		identity, err := certificateIdentity(d, 3)
		c.Identities = append(c.Identities, identity)
		return err
	case "kind":
		kind := string(c.Kind)
		err := scalar(d, &kind)
		c.Kind = authn.Kind(kind)
		return err
	case "prefix":
		return scalar(d, &c.Prefix)
	case "authority":
		return appendList(d, &c.Authorities)
	}
	return unrecognized(d, "mtls", "identity", "kind", "prefix", "authority")
}

// certificateIdentity reads where a name stands in a certificate, what it must
// look like, and how its owner is called: at most that many words.
func certificateIdentity(d *caddyfile.Dispenser, most int) (identity authn.CertificateIdentity, err error) {
	name, args := d.Val(), d.RemainingArgs()
	if len(args) == 0 || len(args) > most {
		return identity, d.Errf("%s: want spiffe, dns, email, common_name or subject, and a pattern", name)
	}
	for i, to := range []*string{&identity.Source, &identity.Match, &identity.Name} {
		if i < len(args) {
			*to = args[i]
		}
	}
	if err := identity.Validate(); err != nil {
		return identity, d.WrapErr(err)
	}
	return identity, nil
}
