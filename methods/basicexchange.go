package methods

import (
	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// BasicExchange is the authenticator for user names and passwords that an
// identity provider exchanges for a token: those of its clients or, if that is
// switched on, of people.
type BasicExchange struct {
	authn.BasicExchangeConfig
	caddyfile.Trust
	Held
}

// CaddyModule returns the Caddy module information.
func (BasicExchange) CaddyModule() caddy.ModuleInfo {
	return info(authn.BasicExchangeName, func() caddy.Module { return new(BasicExchange) })
}

// UnmarshalCaddyfile reads an identity provider that checks passwords:
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
//		groups          <claim> [<form>]
//		roles           <claim> [<form>]
//		prefix          <prefix>
//		required_group  <group...>
//		require_claim   <claim...>
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
func (b *BasicExchange) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if !d.AllArgs(&b.Issuer) {
		return d.ArgErr()
	}
	if err := b.options().Read(d, "basic_exchange"); err != nil {
		return err
	}
	return caddyfile.Valid(d, b.BasicExchangeConfig)
}

func (b *BasicExchange) options() caddyfile.Options {
	return caddyfile.Options{
		"client_credentials":      caddyfile.Flag(&b.ClientCredentials),
		"insecure_password_grant": b.passwordGrant,
		"token_endpoint":          caddyfile.Text(&b.TokenEndpoint),
		"client_auth":             caddyfile.Text(&b.ClientAuth),
		"scope":                   caddyfile.List(&b.Scopes),
		"parameter":               caddyfile.Pair(&b.Parameters),
		"audience":                caddyfile.List(&b.Audiences),
		"algorithms":              caddyfile.List(&b.Algorithms, caddyfile.Wrapped(authn.CheckAlgorithm)),
		"cache":                   caddyfile.Span(&b.Cache),
		"cache_offset":            caddyfile.Span(&b.CacheOffset),
		"cache_failures":          caddyfile.Span(&b.CacheFailures),
		"timeout":                 caddyfile.Span(&b.Timeout),
		"connections":             caddyfile.Count(&b.Connections),
		"jwks_max_age":            caddyfile.Span(&b.JWKSMaxAge),
		"jwks_grace":              caddyfile.Span(&b.JWKSGrace),
		"clock_skew":              caddyfile.Span(&b.ClockSkew),
		"trust_pool":              caddyfile.TrustPool(&b.CARaw),
		"insecure_issuer":         caddyfile.Flag(&b.InsecureIssuer),
	}.And(caddyfile.Claims(&b.ClaimsConfig))
}

// passwordGrant reads the client with which people's passwords are exchanged.
func (b *BasicExchange) passwordGrant(d *caddycf.Dispenser) error {
	if b.PasswordGrant != nil {
		return caddyfile.Twice(d, d.Val())
	}
	grant := new(authn.PasswordGrant)
	b.PasswordGrant = grant
	if err := caddyfile.UpTo(&grant.ClientID, &grant.ClientSecret)(d); err != nil {
		return err
	}
	if err := caddyfile.AbsoluteFile(d, "insecure_password_grant", grant.ClientSecret); err != nil {
		return err
	}
	return caddyfile.Options{"access_token": caddyfile.Flag(&grant.AccessToken)}.Read(d, "insecure_password_grant")
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
	transport, err := b.Transport(ctx)
	if err != nil {
		return err
	}
	return b.hold(authn.BasicExchangeName, []any{config, b.CARaw}, func() (described, error) {
		return authn.NewBasicExchange(config, authn.Options{Transport: transport, Logger: logger("basic_exchange")})
	})
}
