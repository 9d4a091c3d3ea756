package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
)

// Portal reads where the pages are and how long sessions last:
//
//	portal [on|off] {
//		prefix           <path>
//		url              <url>
//		session_idle     <duration>
//		session_lifetime <duration>
//		device_login     on|off
//		device_code_lifetime <duration>
//		reauthenticate   on|off
//		trusted_host     <host...>
//	}
//
// trusted_host may stand several times.
func Portal(d *caddyfile.Dispenser, c *portal.Config) error {
	c.Switch = authn.SwitchOn
	if d.NextArg() {
		if c.Switch = d.Val(); d.NextArg() {
			return d.ArgErr()
		}
	}
	if err := c.Validate(); err != nil {
		return d.WrapErr(err)
	}
	options := Options{
		"prefix":               Text(&c.Prefix),
		"url":                  Text(&c.URL),
		"session_idle":         Span(&c.SessionIdle),
		"session_lifetime":     Span(&c.SessionLifetime),
		"device_login":         Text(&c.DeviceLogin),
		"device_code_lifetime": Span(&c.DeviceCodeLifetime),
		"reauthenticate":       Text(&c.Reauthenticate),
		"trusted_host":         List(&c.TrustedHosts),
	}
	if err := options.Read(d, "portal"); err != nil {
		return err
	}
	// As a whole, since the two durations belong together.
	return Valid(d, *c)
}
