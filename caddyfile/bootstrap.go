package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// bootstrapWords are the subdirectives of a bootstrap block.
var bootstrapWords = []string{"secret", "secret_file", "ttl", "admin_key_file", "file"}

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
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := bootstrapLine(d, c); err != nil {
			return err
		}
		// Checked after each line, so that an error names the line.
		if err := c.Validate(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

func bootstrapLine(d *caddyfile.Dispenser, c *management.BootstrapConfig) error {
	switch d.Val() {
	case "secret":
		if err := scalar(d, &c.Secret); err != nil {
			return err
		}
		if !strings.HasPrefix(c.Secret, "{") || strings.Contains(c.Secret, "{http.request.") {
			return d.Err("bootstrap: secret: want a placeholder such as {env.BOOTSTRAP_SECRET} or {file./run/secrets/bootstrap}")
		}
		return nil
	case "secret_file":
		return scalar(d, &c.SecretFile)
	case "ttl":
		return duration(d, &c.TTL, "")
	case "admin_key_file":
		return scalar(d, &c.AdminKeyFile)
	case "file":
		return scalar(d, &c.File)
	}
	return unrecognized(d, "bootstrap", bootstrapWords...)
}
