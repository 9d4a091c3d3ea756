package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// ownerOnly reads:
//
//	owner_only repository|namespace [<pattern>...]
func ownerOnly(d *caddyfile.Dispenser) (authz.OwnerOnly, error) {
	o := authz.OwnerOnly{Source: source(d)}
	args, err := list(d)
	if err != nil {
		return o, err
	}
	if _, err := authz.ParseOwnedBy(args[0]); err != nil {
		return o, d.Errf("owner_only: %v", err)
	}
	o.By, o.Patterns = args[0], args[1:]
	return o, nil
}

// creatorRole reads:
//
//	creator_role <role> [<pattern>...]
func creatorRole(d *caddyfile.Dispenser) (authz.CreatorRole, error) {
	c := authz.CreatorRole{Source: source(d)}
	args, err := list(d)
	if err != nil {
		return c, err
	}
	c.Role, c.Patterns = args[0], args[1:]
	return c, nil
}

// roleSource reads:
//
//	role_source token|application|header... [{
//		first
//	}]
func roleSource(d *caddyfile.Dispenser, cfg *authz.Config) error {
	if cfg.RoleSources != nil {
		return Twice(d, "role_source")
	}
	var err error
	if cfg.RoleSources, err = list(d); err != nil {
		return err
	}
	if err := authz.CheckRoleSources(cfg.RoleSources); err != nil {
		return d.WrapErr(err)
	}
	return Options{"first": Flag(&cfg.FirstRoleSource)}.Read(d, "role_source")
}
