package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TrustedHeaders reads in which headers a proxy names people:
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
func TrustedHeaders(d *caddyfile.Dispenser) (authn.TrustedHeadersConfig, error) {
	var c authn.TrustedHeadersConfig
	if d.NextArg() {
		return c, d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := trustedHeadersLine(d, &c); err != nil {
			return c, err
		}
	}
	if err := c.Validate(); err != nil {
		return c, d.WrapErr(err)
	}
	return c, nil
}

func trustedHeadersLine(d *caddyfile.Dispenser, c *authn.TrustedHeadersConfig) error {
	switch d.Val() {
	case "user":
		return scalar(d, &c.User)
	case "email":
		return scalar(d, &c.Email)
	case "groups":
		return scalar(d, &c.Groups)
	case "roles":
		return scalar(d, &c.Roles)
	case "separator":
		return scalar(d, &c.Separator)
	case "prefix":
		return scalar(d, &c.Prefix)
	case "trusted_proxies":
		return flag(d, &c.TrustedProxies)
	case "from":
		return appendList(d, &c.From)
	case "client_certificate":
		identity, err := certificateIdentity(d, 2)
		c.Certificates = append(c.Certificates, identity)
		return err
	case "authority":
		return appendList(d, &c.Authorities)
	}
	return unrecognized(d, "trusted_headers", "user", "email", "groups", "roles", "separator", "prefix", "trusted_proxies", "from",
		"client_certificate", "authority")
}
