// Package caddyfile reads the blocks of the Caddyfile into configuration
// structs. Each function expects the dispenser on the name of its block. It
// resolves no placeholder and opens no file.
package caddyfile

import (
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// RobotFunc reads a robot block inside a project and returns what the
// project grants to it: its subject, such as "robot:ci", and its actions.
type RobotFunc func(d *caddyfile.Dispenser) (subject string, actions []string, err error)

// Policy reads one directive of the policy into cfg. It reports false, and
// reads nothing, if the directive is none of the policy's.
func Policy(d *caddyfile.Dispenser, cfg *authz.Config, robot RobotFunc) (bool, error) {
	switch d.Val() {
	case "admin":
		admin, err := Admin(d)
		cfg.Admins = append(cfg.Admins, admin)
		return true, err
	case "role":
		role, err := Role(d)
		cfg.Roles = append(cfg.Roles, role)
		return true, err
	case "project":
		project, err := Project(d, robot)
		cfg.Projects = append(cfg.Projects, project)
		return true, err
	case "deny":
		deny, err := Rule(d)
		cfg.Denies = append(cfg.Denies, deny)
		return true, err
	case "anonymous_read":
		read, err := Read(d)
		cfg.AnonymousRead = append(cfg.AnonymousRead, read)
		return true, err
	case "authenticated_read":
		read, err := Read(d)
		cfg.AuthenticatedRead = append(cfg.AuthenticatedRead, read)
		return true, err
	case "catalog":
		return true, scalar(d, &cfg.Catalog)
	case "read_only":
		return true, flag(d, &cfg.ReadOnly)
	}
	return false, nil
}

// source is where the dispenser stands, as rules are shown: "Caddyfile:12".
func source(d *caddyfile.Dispenser) string {
	return fmt.Sprintf("%s:%d", filepath.Base(d.File()), d.Line())
}

// scalar reads the one argument of a directive that stands once.
func scalar(d *caddyfile.Dispenser, to *string) error {
	name := d.Val()
	if *to != "" {
		return d.Errf("%s: given twice", name)
	}
	if !d.AllArgs(to) || *to == "" {
		return d.ArgErr()
	}
	return nil
}

// flag reads a directive without arguments that stands once.
func flag(d *caddyfile.Dispenser, to *bool) error {
	name := d.Val()
	if *to {
		return d.Errf("%s: given twice", name)
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	*to = true
	return nil
}

// list reads the arguments of a directive, of which there is at least one.
func list(d *caddyfile.Dispenser) ([]string, error) {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return nil, d.ArgErr()
	}
	return args, nil
}

// unrecognized is the error for a subdirective that a block does not have.
func unrecognized(d *caddyfile.Dispenser, block string, known ...string) error {
	if near := authz.Nearest(d.Val(), known); near != "" {
		return d.Errf("unrecognized subdirective %q of %s: did you mean %q?", d.Val(), block, near)
	}
	return d.Errf("unrecognized subdirective %q of %s", d.Val(), block)
}
