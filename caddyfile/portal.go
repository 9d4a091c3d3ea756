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
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "prefix":
			err = scalar(d, &c.Prefix)
		case "session_idle":
			err = duration(d, &c.SessionIdle, "")
		case "session_lifetime":
			err = duration(d, &c.SessionLifetime, "")
		case "device_login":
			err = scalar(d, &c.DeviceLogin)
		case "device_code_lifetime":
			err = duration(d, &c.DeviceCodeLifetime, "")
		case "reauthenticate":
			err = scalar(d, &c.Reauthenticate)
		case "trusted_host":
			err = appendList(d, &c.TrustedHosts)
		default:
			err = unrecognized(d, "portal", "prefix", "session_idle", "session_lifetime", "device_login", "device_code_lifetime", "reauthenticate", "trusted_host")
		}
		if err != nil {
			return err
		}
	}
	// As a whole, since the two durations belong together.
	if err := c.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
