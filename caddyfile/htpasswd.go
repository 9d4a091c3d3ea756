package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Htpasswd reads an htpasswd file's place:
//
//	htpasswd <file> {
//		groups <file>
//		prefix <prefix>
//		insecure_legacy_hashes
//	}
func Htpasswd(d *caddyfile.Dispenser) (authn.HtpasswdConfig, error) {
	var c authn.HtpasswdConfig
	if !d.AllArgs(&c.File) {
		return c, d.ArgErr()
	}
	if err := checkPlaceholder(d, "htpasswd", c.File); err != nil {
		return c, err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := htpasswdLine(d, &c); err != nil {
			return c, err
		}
	}
	return c, nil
}

func htpasswdLine(d *caddyfile.Dispenser, c *authn.HtpasswdConfig) error {
	switch d.Val() {
	case "groups":
		if err := scalar(d, &c.GroupsFile); err != nil {
			return err
		}
		return checkPlaceholder(d, "groups", c.GroupsFile)
	case "prefix":
		return scalar(d, &c.Prefix)
	case "insecure_legacy_hashes":
		return flag(d, &c.InsecureLegacyHashes)
	}
	return unrecognized(d, "htpasswd", "groups", "prefix", "insecure_legacy_hashes")
}
