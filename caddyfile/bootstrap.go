package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// Bootstrap reads how the first administrator is made; d stands on the name:
//
//	bootstrap off
//	bootstrap {
//		secret         <placeholder>
//		secret_file    <path>
//		ttl            <duration>
//		admin_key_file <path>
//		file           <path>
//	}
func Bootstrap(d *caddyfile.Dispenser, c *management.BootstrapConfig) error {
	if d.NextArg() {
		if d.Val() != "off" || d.NextArg() {
			return d.ArgErr()
		}
		c.Off = true
	}
	return Options{
		"secret":         Text(&c.Secret, bootstrapSecret),
		"secret_file":    Text(&c.SecretFile),
		"ttl":            Span(&c.TTL),
		"admin_key_file": Text(&c.AdminKeyFile),
		"file":           Text(&c.File),
	}.Read(d, "bootstrap", func() error { return c.Validate() })
}

func bootstrapSecret(d *caddyfile.Dispenser, _, secret string) error {
	if !strings.HasPrefix(secret, "{") || strings.Contains(secret, "{http.request.") {
		return d.Err("bootstrap: secret: want a placeholder such as {env.BOOTSTRAP_SECRET} or {file./run/secrets/bootstrap}")
	}
	return nil
}
