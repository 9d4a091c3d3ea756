package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Local reads people who are declared in the configuration:
//
//	local {
//		prefix <prefix>
//		user   <name> [<hash> [<group...>]] {
//			password_hash <hash>
//			group         <group...>
//			disabled
//			break_glass
//		}
//	}
func Local(d *caddyfile.Dispenser) (authn.LocalConfig, error) {
	var c authn.LocalConfig
	if d.NextArg() {
		return c, d.Errf("local takes a block of users: local {\n\tuser %s <hash>\n}", d.Val())
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := localLine(d, &c); err != nil {
			return c, err
		}
	}
	if len(c.Users) == 0 {
		return c, d.Err("local: no user")
	}
	return c, nil
}

func localLine(d *caddyfile.Dispenser, c *authn.LocalConfig) error {
	switch d.Val() {
	case "prefix":
		return scalar(d, &c.Prefix)
	case "user":
		u, err := localUser(d)
		if err != nil {
			return err
		}
		for _, other := range c.Users {
			if other.Name == u.Name {
				return d.Errf("user %s is already declared", u.Name)
			}
		}
		c.Users = append(c.Users, u)
		return nil
	}
	return unrecognized(d, "local", "prefix", "user")
}

func localUser(d *caddyfile.Dispenser) (u authn.LocalUser, err error) {
	if !d.NextArg() {
		return u, d.ArgErr()
	}
	u.Name = d.Val()
	if args := d.RemainingArgs(); len(args) > 0 {
		u.PasswordHash, u.Groups = args[0], args[1:]
		if err := checkPasswordHash(d, u.PasswordHash); err != nil {
			return u, err
		}
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := localUserLine(d, &u); err != nil {
			return u, err
		}
	}
	if u.PasswordHash == "" {
		return u, d.Errf("user %s: password_hash is missing: make one with \"caddy registry-auth hash-password\"", u.Name)
	}
	return u, nil
}

func localUserLine(d *caddyfile.Dispenser, u *authn.LocalUser) error {
	switch d.Val() {
	case "password_hash":
		if err := scalar(d, &u.PasswordHash); err != nil {
			return err
		}
		return checkPasswordHash(d, u.PasswordHash)
	case "group":
		return appendList(d, &u.Groups)
	case "disabled":
		return flag(d, &u.Disabled)
	case "break_glass":
		return flag(d, &u.BreakGlass)
	}
	return unrecognized(d, "user", "password_hash", "group", "disabled", "break_glass")
}

// checkPasswordHash refuses what cannot be the hash of a password, while file
// and line are known.
func checkPasswordHash(d *caddyfile.Dispenser, hash string) error {
	if err := checkPlaceholder(d, "password_hash", hash); err != nil || strings.Contains(hash, "{") {
		return err
	}
	if _, err := authn.ParsePasswordHash(hash); err != nil {
		return d.Errf("password_hash: %v", err)
	}
	return nil
}

// checkPlaceholder refuses {file.NAME}, which Caddy has already made something
// else of.
func checkPlaceholder(d *caddyfile.Dispenser, name, value string) error {
	if strings.Contains(value, "{http.request.") {
		return d.Errf("%s: {file.NAME} stands for a part of the request path here: write an absolute path, {file./run/secrets/NAME}", name)
	}
	return nil
}
