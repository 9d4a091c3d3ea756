package caddyfile

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// BasicExchange reads an identity provider that checks passwords. With it
// comes the JSON of the module that supplies the certificate authorities to
// trust, nil if none was named.
//
//	basic_exchange <issuer> {
//		client_credentials
//		insecure_password_grant <client_id> [<client_secret>] {
//			access_token
//		}
//		token_endpoint  <url>
//		client_auth     basic|post
//		scope           <scope...>
//		parameter       <name> <value>
//		audience        <audience...>
//		username        <claim>
//		groups          <claim>
//		roles           <claim>
//		prefix          <prefix>
//		required_group  <group...>
//		algorithms      <algorithm...>
//		cache           <duration>
//		cache_offset    <duration>
//		cache_failures  <duration>
//		timeout         <duration>
//		connections     <number>
//		jwks_max_age    <duration>
//		jwks_grace      <duration>
//		clock_skew      <duration>
//		trust_pool      <module> …
//		insecure_issuer
//	}
func BasicExchange(d *caddyfile.Dispenser) (authn.BasicExchangeConfig, json.RawMessage, error) {
	var c authn.BasicExchangeConfig
	var trust json.RawMessage
	if !d.AllArgs(&c.Issuer) {
		return c, nil, d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		if d.Val() == "trust_pool" {
			trust, err = trustPool(d, trust)
		} else {
			err = basicExchangeLine(d, &c)
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

func basicExchangeLine(d *caddyfile.Dispenser, c *authn.BasicExchangeConfig) error {
	switch d.Val() {
	case "client_credentials":
		return flag(d, &c.ClientCredentials)
	case "insecure_password_grant":
		return passwordGrant(d, c)
	case "token_endpoint":
		return scalar(d, &c.TokenEndpoint)
	case "client_auth":
		return scalar(d, &c.ClientAuth)
	case "scope":
		return appendList(d, &c.Scopes)
	case "parameter":
		return parameter(d, c)
	case "audience":
		return appendList(d, &c.Audiences)
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
	case "cache":
		return duration(d, &c.Cache, "")
	case "cache_offset":
		return duration(d, &c.CacheOffset, "")
	case "cache_failures":
		return duration(d, &c.CacheFailures, "")
	case "timeout":
		return duration(d, &c.Timeout, "")
	case "connections":
		return connections(d, &c.Connections)
	case "jwks_max_age":
		return duration(d, &c.JWKSMaxAge, "")
	case "jwks_grace":
		return duration(d, &c.JWKSGrace, "")
	case "clock_skew":
		return duration(d, &c.ClockSkew, "")
	case "insecure_issuer":
		return flag(d, &c.InsecureIssuer)
	}
	return unrecognized(d, "basic_exchange", "client_credentials", "insecure_password_grant", "token_endpoint", "client_auth",
		"scope", "parameter", "audience", "username", "groups", "roles", "prefix", "required_group", "algorithms", "cache",
		"cache_offset", "cache_failures", "timeout", "connections", "jwks_max_age", "jwks_grace", "clock_skew", "trust_pool",
		"insecure_issuer")
}

// passwordGrant reads the client with which people's passwords are exchanged.
func passwordGrant(d *caddyfile.Dispenser, c *authn.BasicExchangeConfig) error {
	if c.PasswordGrant != nil {
		return d.Err("insecure_password_grant: given twice")
	}
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return d.ArgErr()
	}
	c.PasswordGrant = &authn.PasswordGrant{ClientID: args[0]}
	if len(args) == 2 {
		c.PasswordGrant.ClientSecret = args[1]
		if err := absoluteFile(d, args[1]); err != nil {
			return err
		}
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch d.Val() {
		case "access_token":
			if err := flag(d, &c.PasswordGrant.AccessToken); err != nil {
				return err
			}
		default:
			return unrecognized(d, "insecure_password_grant", "access_token")
		}
	}
	return nil
}

// parameter reads a parameter of the token request.
func parameter(d *caddyfile.Dispenser, c *authn.BasicExchangeConfig) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.ArgErr()
	}
	if _, twice := c.Parameters[args[0]]; twice {
		return d.Errf("parameter %s: given twice", args[0])
	}
	if c.Parameters == nil {
		c.Parameters = map[string]string{}
	}
	c.Parameters[args[0]] = args[1]
	return nil
}
