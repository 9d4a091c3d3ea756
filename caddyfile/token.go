package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

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
	// What a placeholder stands for is not known yet.
	return tokenOptions(c).Read(d, "token", func() error {
		known := *c
		if strings.Contains(known.URL, "{") {
			known.URL = ""
		}
		return known.Validate()
	})
}

func tokenOptions(c *tokenendpoint.Config) Options {
	return Options{
		"lifetime":               Span(&c.Lifetime),
		"algorithm":              Text(&c.Algorithm),
		"key_id":                 Text(&c.KeyID),
		"x5c":                    Flag(&c.X5C),
		"issuer":                 Text(&c.Issuer),
		"service_alias":          List(&c.ServiceAliases),
		"url":                    Text(&c.URL),
		"path":                   List(&c.Paths),
		"keycloak":               List(&c.Keycloak),
		"jwks_path":              Text(&c.JWKSPath),
		"certificates_path":      Text(&c.CertificatesPath),
		"upload_grace":           Span(&c.UploadGrace, "off"),
		"rotate_every":           Span(&c.RotateEvery, "never"),
		"refresh_tokens":         Text(&c.RefreshTokens),
		"refresh_token_lifetime": Span(&c.RefreshTokenLifetime),
		"refresh_token_idle":     Span(&c.RefreshTokenIdle, "never"),
		"refresh_token_rotation": Text(&c.RefreshTokenRotation),
		"refresh_token_client":   Text(&c.RefreshTokenClient),
	}
}
