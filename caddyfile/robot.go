package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Robot reads a robot and the actions that it is given where it stands, which
// are pull if none are written:
//
//	robot <name> [<action...>] {
//		secret_hash <hash...>
//		allow       <action...>
//		expires     <date or time>
//		from        <network...>
//		disabled
//	}
func Robot(d *caddyfile.Dispenser) (authn.RobotConfig, []string, error) {
	var c authn.RobotConfig
	if !d.NextArg() {
		return c, nil, d.ArgErr()
	}
	c.Name = d.Val()
	if err := authn.CheckRobotName(c.Name); err != nil {
		return c, nil, d.WrapErr(err)
	}
	actions, err := checkActions(d, d.RemainingArgs())
	if err != nil {
		return c, nil, err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := robotLine(d, &c, &actions); err != nil {
			return c, nil, err
		}
	}
	if len(c.SecretHashes) == 0 {
		return c, nil, d.Errf("robot %s: secret_hash is missing: make one with \"caddy registry-auth new-secret\"", c.Name)
	}
	if len(actions) == 0 {
		actions = []string{"pull"}
	}
	return c, actions, nil
}

func robotLine(d *caddyfile.Dispenser, c *authn.RobotConfig, actions *[]string) error {
	switch d.Val() {
	case "secret_hash":
		hashes, err := list(d)
		if err != nil {
			return err
		}
		for _, h := range hashes {
			if err := checkSecretHash(d, h); err != nil {
				return err
			}
		}
		c.SecretHashes = append(c.SecretHashes, hashes...)
		return nil
	case "allow":
		names, err := list(d)
		if err != nil {
			return err
		}
		names, err = checkActions(d, names)
		*actions = append(*actions, names...)
		return err
	case "expires":
		if err := scalar(d, &c.Expires); err != nil {
			return err
		}
		if _, err := authn.ParseExpiry(c.Expires); err != nil {
			return d.WrapErr(err)
		}
		return nil
	case "from":
		sources, err := list(d)
		if err != nil {
			return err
		}
		for _, s := range sources {
			if _, err := authn.ParseSource(s); err != nil {
				return d.WrapErr(err)
			}
		}
		c.From = append(c.From, sources...)
		return nil
	case "disabled":
		return flag(d, &c.Disabled)
	}
	return unrecognized(d, "robot", "secret_hash", "allow", "expires", "from", "disabled")
}

// checkSecretHash refuses what cannot be a hash, while file and line are
// known. A placeholder is resolved when the configuration is provisioned.
func checkSecretHash(d *caddyfile.Dispenser, hash string) error {
	switch {
	case strings.Contains(hash, "{http.request."):
		return d.Err("secret_hash: {file.NAME} stands for a part of the request path here: write an absolute path, {file./run/secrets/NAME}")
	case strings.Contains(hash, "{"):
		return nil
	}
	if _, err := authn.ParseHash(hash); err != nil {
		return d.Errf("secret_hash: %v", err)
	}
	return nil
}

func checkActions(d *caddyfile.Dispenser, names []string) ([]string, error) {
	for _, name := range names {
		if _, err := authz.ParseAction(name); err != nil {
			return nil, d.WrapErr(err)
		}
	}
	return names, nil
}
