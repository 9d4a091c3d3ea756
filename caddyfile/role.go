package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Role reads a role of one's own:
//
//	role <name> <action...>
func Role(d *caddyfile.Dispenser) (authz.Role, error) {
	role := authz.Role{Source: source(d)}
	if !d.NextArg() {
		return role, d.ArgErr()
	}
	role.Name = d.Val()
	role.Actions = d.RemainingArgs()
	if len(role.Actions) == 0 {
		return role, d.Errf("role %s grants nothing: name its actions", role.Name)
	}
	return role, noBlock(d, "role")
}

// Read reads who may read without being granted it:
//
//	anonymous_read <pattern...>
//	authenticated_read <pattern...>
func Read(d *caddyfile.Dispenser) (authz.Read, error) {
	name := d.Val()
	read := authz.Read{Source: source(d)}
	patterns, err := list(d)
	if err != nil {
		return read, err
	}
	read.Patterns = patterns
	return read, noBlock(d, name)
}

// noBlock refuses a block where there is none to read.
func noBlock(d *caddyfile.Dispenser, name string) error {
	nesting := d.Nesting()
	if d.NextBlock(nesting) {
		return d.Errf("%s takes no block", name)
	}
	return nil
}
