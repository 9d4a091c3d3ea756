package methods

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// OIDC is the authenticator for ID tokens of one OpenID provider. The
// provider is first asked for its keys in the background and then when a
// token arrives, so that Caddy starts without it.
type OIDC struct {
	authn.OIDCConfig
	caddyfile.Trust
	Held
}

// CaddyModule returns the Caddy module information.
func (OIDC) CaddyModule() caddy.ModuleInfo {
	return info("oidc", func() caddy.Module { return new(OIDC) })
}

// UnmarshalCaddyfile reads an OpenID provider:
//
//	oidc <issuer> [<client_id>] {
//		client_id        <id>
//		audience         <audience...>
//		authorized_party <client_id...>
//		username         <claim>
//		groups           <claim> [<form>]
//		roles            <claim> [<form>]
//		prefix           <prefix>
//		required_group   <group...>
//		require_claim    <claim...>
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
func (o *OIDC) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return d.ArgErr()
	}
	o.Issuer = args[0]
	if len(args) == 2 {
		o.ClientID = args[1]
	}
	if err := o.options().Read(d, "oidc"); err != nil {
		return err
	}
	return caddyfile.Valid(d, o.OIDCConfig)
}

func (o *OIDC) options() caddyfile.Options {
	return caddyfile.Options{
		"client_id":         caddyfile.Text(&o.ClientID),
		"audience":          caddyfile.List(&o.Audiences),
		"authorized_party":  caddyfile.List(&o.AuthorizedParties),
		"algorithms":        caddyfile.List(&o.Algorithms, caddyfile.Wrapped(authn.CheckAlgorithm)),
		"max_age":           caddyfile.Span(&o.MaxAge),
		"jwks_max_age":      caddyfile.Span(&o.JWKSMaxAge),
		"jwks_grace":        caddyfile.Span(&o.JWKSGrace),
		"clock_skew":        caddyfile.Span(&o.ClockSkew),
		"trust_pool":        caddyfile.TrustPool(&o.CARaw),
		"insecure_issuer":   caddyfile.Flag(&o.InsecureIssuer),
		"client_secret":     caddyfile.Text(&o.ClientSecret, caddyfile.AbsoluteFile),
		"sign_in":           caddyfile.Text(&o.SignIn),
		"name":              caddyfile.Text(&o.DisplayName),
		"scopes":            caddyfile.List(&o.Scopes),
		"extra_auth_params": caddyfile.Pairs(&o.ExtraAuthParams),
		"userinfo":          caddyfile.Text(&o.UserInfo),
		"subject_alias":     caddyfile.Text(&o.SubjectAlias),
	}.And(caddyfile.Claims(&o.ClaimsConfig)).And(caddyfile.Recheck(&o.RecheckConfig))
}

// Provision prepares the verifier; it does not touch the network.
func (o *OIDC) Provision(ctx caddy.Context) error {
	config := o.OIDCConfig
	if config.ClientSecret != "" {
		var err error
		if config.ClientSecret, err = caddyfile.Resolve("client_secret", config.ClientSecret); err != nil {
			return fmt.Errorf("oidc %s: %w", o.Issuer, err)
		}
	}
	transport, err := o.Transport(ctx)
	if err != nil {
		return err
	}
	return o.hold("oidc", []any{config, o.CARaw}, func() (described, error) {
		return authn.NewOIDC(config, authn.Options{Transport: transport, Logger: logger("oidc")})
	})
}
