package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// RobotBlock is what a robot block says: how the robot proves itself, and what
// it is granted.
type RobotBlock struct {
	authn.RobotConfig

	// Actions are granted where the robot stands; pull if none are written.
	Actions []string

	// Repositories are the patterns they are granted on. Inside a project
	// there are none: the project says it.
	Repositories []string
}

// Robot reads a robot:
//
//	robot <name> [<action...>] {
//		secret_hash  <hash...>
//		allow        <action...>
//		repositories <pattern...>
//		expires      <date or time>
//		from         <network...>
//		disabled
//	}
func Robot(d *caddyfile.Dispenser) (*RobotBlock, error) {
	if !d.NextArg() {
		return nil, d.ArgErr()
	}
	r := &RobotBlock{RobotConfig: authn.RobotConfig{Name: d.Val()}}
	if err := authn.CheckRobotName(r.Name); err != nil {
		return nil, d.WrapErr(err)
	}
	var err error
	if r.Actions, err = checkActions(d, d.RemainingArgs()); err != nil {
		return nil, err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := r.line(d); err != nil {
			return nil, err
		}
	}
	if len(r.SecretHashes) == 0 {
		return nil, d.Errf("robot %s: secret_hash is missing: make one with \"caddy registry-auth new-secret\"", r.Name)
	}
	if len(r.Actions) == 0 {
		r.Actions = []string{"pull"}
	}
	return r, nil
}

func (r *RobotBlock) line(d *caddyfile.Dispenser) error {
	c := &r.RobotConfig
	switch d.Val() {
	case "repositories":
		return appendList(d, &r.Repositories)
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
		r.Actions = append(r.Actions, names...)
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
	return unrecognized(d, "robot", "secret_hash", "allow", "repositories", "expires", "from", "disabled")
}

// checkSecretHash refuses what cannot be a hash, while file and line are
// known. A placeholder is resolved when the configuration is provisioned.
func checkSecretHash(d *caddyfile.Dispenser, hash string) error {
	if err := checkPlaceholder(d, "secret_hash", hash); err != nil || strings.Contains(hash, "{") {
		return err
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
