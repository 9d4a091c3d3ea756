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

// Policy reads one directive of the policy, whose name d stands on, into cfg.
// It reports false, and reads nothing, if the directive is none of the
// policy's. Projects are read by [Project].
func Policy(d *caddyfile.Dispenser, name string, cfg *authz.Config) (bool, error) {
	switch name {
	case "admin":
		admin, err := Admin(d)
		cfg.Admins = append(cfg.Admins, admin)
		return true, err
	case "role":
		role, err := Role(d)
		cfg.Roles = append(cfg.Roles, role)
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
	case "owner_only":
		owner, err := ownerOnly(d)
		cfg.OwnerOnly = append(cfg.OwnerOnly, owner)
		return true, err
	case "creator_role":
		creator, err := creatorRole(d)
		cfg.CreatorRoles = append(cfg.CreatorRoles, creator)
		return true, err
	case "role_source":
		return true, roleSource(d, cfg)
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
		return Twice(d, name)
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
		return Twice(d, name)
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

// didYouMean is the end of a message about an unknown word: the known one
// that was probably meant, or nothing.
func didYouMean(word string, known []string) string {
	if near := authz.Nearest(word, known); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ""
}

// unrecognized is the error for a subdirective that a block does not have.
func unrecognized(d *caddyfile.Dispenser, block string, known ...string) error {
	return d.Errf("unrecognized subdirective %q of %s%s", d.Val(), block, didYouMean(d.Val(), known))
}
