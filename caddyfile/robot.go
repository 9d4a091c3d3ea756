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
	r.Actions = d.RemainingArgs()
	if err := checked(d, "robot", []Check{checkAction}, r.Actions...); err != nil {
		return nil, err
	}
	if err := r.options().Read(d, "robot"); err != nil {
		return nil, err
	}
	if len(r.SecretHashes) == 0 {
		return nil, d.Errf("robot %s: secret_hash is missing: make one with \"caddy registry-auth new-secret\"", r.Name)
	}
	if len(r.Actions) == 0 {
		r.Actions = []string{"pull"}
	}
	return r, nil
}

func (r *RobotBlock) options() Options {
	c := &r.RobotConfig
	return Options{
		"secret_hash":  List(&c.SecretHashes, checkSecretHash),
		"allow":        List(&r.Actions, checkAction),
		"repositories": List(&r.Repositories),
		"expires":      Text(&c.Expires, checkExpiry),
		"from":         List(&c.From, checkSource),
		"disabled":     Flag(&c.Disabled),
	}
}

// checkSecretHash refuses what cannot be a hash, while file and line are
// known. A placeholder is resolved when the configuration is provisioned.
func checkSecretHash(d *caddyfile.Dispenser, name, hash string) error {
	if err := AbsoluteFile(d, name, hash); err != nil || strings.Contains(hash, "{") {
		return err
	}
	if _, err := authn.ParseHash(hash); err != nil {
		return d.Errf("%s: %v", name, err)
	}
	return nil
}

var (
	checkAction = Wrapped(func(action string) error { _, err := authz.ParseAction(action); return err })
	checkExpiry = Wrapped(func(expires string) error { _, err := authn.ParseExpiry(expires); return err })
	checkSource = Wrapped(func(source string) error { _, err := authn.ParseSource(source); return err })
)
