package caddyfile

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// OIDC reads an OpenID provider. With it comes the JSON of the module that
// supplies the certificate authorities to trust, nil if none was named.
//
//	oidc <issuer> [<client_id>] {
//		client_id        <id>
//		audience         <audience...>
//		authorized_party <client_id...>
//		username         <claim>
//		groups           <claim>
//		roles            <claim>
//		prefix           <prefix>
//		required_group   <group...>
//		algorithms       <algorithm...>
//		max_age          <duration>
//		jwks_max_age     <duration>
//		jwks_grace       <duration>
//		clock_skew       <duration>
//		trust_pool       <module> …
//		insecure_issuer
//		client_secret    <secret>
//		sign_in          on|off
//		name             <text>
//		scopes           <scope...>
//		extra_auth_params <name> <value> …
//		userinfo         on|off
//		recheck          <duration>|off
//		recheck_grace    <duration>|off
//		sign_in_max_age  <duration>|off
//		subject_alias    <old issuer>
//	}
func OIDC(d *caddyfile.Dispenser) (authn.OIDCConfig, json.RawMessage, error) {
	var c authn.OIDCConfig
	var trust json.RawMessage
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return c, nil, d.ArgErr()
	}
	c.Issuer = args[0]
	if len(args) == 2 {
		c.ClientID = args[1]
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		if d.Val() == "trust_pool" {
			trust, err = trustPool(d, trust)
		} else {
			err = oidcLine(d, &c)
		}
		if err != nil {
			return c, nil, err
		}
	}
	if err := c.Validate(); err != nil {
		return c, nil, d.WrapErr(err)
	}
	return c, trust, nil
}

func oidcLine(d *caddyfile.Dispenser, c *authn.OIDCConfig) error {
	switch d.Val() {
	case "client_id":
		return scalar(d, &c.ClientID)
	case "audience":
		return appendList(d, &c.Audiences)
	case "authorized_party":
		return appendList(d, &c.AuthorizedParties)
	case "username":
		return scalar(d, &c.Username)
	case "groups":
		return scalar(d, &c.Groups)
	case "roles":
		return scalar(d, &c.Roles)
	case "prefix":
		return scalar(d, &c.Prefix)
	case "required_group":
		return appendList(d, &c.RequiredGroups)
	case "algorithms":
		return algorithms(d, &c.Algorithms)
	case "max_age":
		return duration(d, &c.MaxAge, "")
	case "jwks_max_age":
		return duration(d, &c.JWKSMaxAge, "")
	case "jwks_grace":
		return duration(d, &c.JWKSGrace, "")
	case "clock_skew":
		return duration(d, &c.ClockSkew, "")
	case "insecure_issuer":
		return flag(d, &c.InsecureIssuer)
	}
	if known, err := signInLine(d, &c.SignInConfig); known {
		return err
	}
	return unrecognized(d, "oidc", "client_id", "audience", "authorized_party", "username", "groups", "roles", "prefix",
		"required_group", "algorithms", "max_age", "jwks_max_age", "jwks_grace", "clock_skew", "trust_pool", "insecure_issuer",
		"client_secret", "sign_in", "name", "scopes", "extra_auth_params", "userinfo", "recheck", "recheck_grace", "sign_in_max_age", "subject_alias")
}

// algorithms reads names of signature algorithms.
func algorithms(d *caddyfile.Dispenser, to *[]string) error {
	before := len(*to)
	if err := appendList(d, to); err != nil {
		return err
	}
	for _, a := range (*to)[before:] {
		if err := authn.CheckAlgorithm(a); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// trustPool reads a module of the namespace tls.ca_pool.source.
func trustPool(d *caddyfile.Dispenser, already json.RawMessage) (json.RawMessage, error) {
	if already != nil {
		return nil, d.Err("trust_pool: given twice")
	}
	if !d.NextArg() {
		return nil, d.ArgErr()
	}
	name := d.Val()
	module, err := caddyfile.UnmarshalModule(d, "tls.ca_pool.source."+name)
	if err != nil {
		return nil, err
	}
	ca, ok := module.(caddytls.CA)
	if !ok {
		return nil, d.Errf("trust_pool: %s does not supply certificate authorities", name)
	}
	return caddyconfig.JSONModuleObject(ca, "provider", name, nil), nil
}
