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

// policyOptions are those of the policy, but for projects: see [Project].
func policyOptions(cfg *authz.Config) Options {
	return Options{
		"admin":              Each(&cfg.Admins, Admin),
		"role":               Each(&cfg.Roles, Role),
		"deny":               Each(&cfg.Denies, Rule),
		"anonymous_read":     Each(&cfg.AnonymousRead, Read),
		"authenticated_read": Each(&cfg.AuthenticatedRead, Read),
		"catalog":            Text(&cfg.Catalog),
		"read_only":          Flag(&cfg.ReadOnly),
		"owner_only":         Each(&cfg.OwnerOnly, ownerOnly),
		"creator_role":       Each(&cfg.CreatorRoles, creatorRole),
		"role_source":        func(d *caddyfile.Dispenser) error { return roleSource(d, cfg) },
	}
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
