package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// tokenWords are the subdirectives of a token block.
var tokenWords = []string{
	"lifetime", "algorithm", "key_id", "x5c", "issuer", "service_alias",
	"url", "path", "keycloak", "jwks_path", "certificates_path", "rotate_every", "upload_grace",
	"refresh_tokens", "refresh_token_lifetime", "refresh_token_idle", "refresh_token_rotation", "refresh_token_client",
}

// Token reads how registry tokens are made and where clients get them:
//
//	token {
//		lifetime          <duration>
//		algorithm         ES256|RS256|EdDSA
//		key_id            thumbprint|libtrust
//		x5c
//		issuer            <name>
//		service_alias     <name...>
//		url               <url>
//		path              <path...>
//		keycloak          <realm...>
//		jwks_path         <path>
//		certificates_path <path>
//		rotate_every      <duration>|never
//		upload_grace      <duration>|off
//		refresh_tokens         on|off
//		refresh_token_lifetime <duration>
//		refresh_token_idle     <duration>|never
//		refresh_token_rotation on|off
//		refresh_token_client   any|same
//	}
//
// service_alias, path and keycloak may stand several times.
func Token(d *caddyfile.Dispenser, c *tokenendpoint.Config) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := tokenLine(d, c); err != nil {
			return err
		}
		// Checked after each line, so that an error names the line. What a
		// placeholder stands for is not known yet.
		known := *c
		if strings.Contains(known.URL, "{") {
			known.URL = ""
		}
		if err := known.Validate(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

func tokenLine(d *caddyfile.Dispenser, c *tokenendpoint.Config) error {
	switch d.Val() {
	case "lifetime":
		return duration(d, &c.Lifetime, "")
	case "algorithm":
		return scalar(d, (*string)(&c.Algorithm))
	case "key_id":
		return scalar(d, (*string)(&c.KeyID))
	case "x5c":
		return flag(d, &c.X5C)
	case "issuer":
		return scalar(d, &c.Issuer)
	case "service_alias":
		return appendList(d, &c.ServiceAliases)
	case "url":
		return scalar(d, &c.URL)
	case "path":
		return appendList(d, &c.Paths)
	case "keycloak":
		return appendList(d, &c.Keycloak)
	case "jwks_path":
		return scalar(d, &c.JWKSPath)
	case "certificates_path":
		return scalar(d, &c.CertificatesPath)
	case "upload_grace":
		return duration(d, &c.UploadGrace, "off")
	case "rotate_every":
		return duration(d, &c.RotateEvery, "never")
	}
	if strings.HasPrefix(d.Val(), "refresh_token") {
		return refreshTokenLine(d, c)
	}
	return unrecognized(d, "token", tokenWords...)
}

// refreshTokenLine reads what is said of the refresh tokens that clients keep.
func refreshTokenLine(d *caddyfile.Dispenser, c *tokenendpoint.Config) error {
	switch d.Val() {
	case "refresh_tokens":
		return scalar(d, &c.RefreshTokens)
	case "refresh_token_lifetime":
		return duration(d, &c.RefreshTokenLifetime, "")
	case "refresh_token_idle":
		return duration(d, &c.RefreshTokenIdle, "never")
	case "refresh_token_rotation":
		return scalar(d, &c.RefreshTokenRotation)
	case "refresh_token_client":
		return scalar(d, &c.RefreshTokenClient)
	}
	return unrecognized(d, "token", tokenWords...)
}
