package caddyfile

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Project reads a project:
//
//	project <pattern...> {
//		name      <name>
//		<role>    <subject...> [{ <conditions> }]
//		allow     <action...> <subject...> [{ <conditions> }]
//		deny      <action...> <subject...> [{ <conditions> }]
//		robot     <name> …
//		immutable <tag pattern...>
//		read_only
//		require   signature { … }
//	}
//
// read_only with subjects is the role of that name.
func Project(d *caddyfile.Dispenser, robot RobotFunc) (authz.Project, error) {
	p := authz.Project{Source: source(d)}
	patterns, err := list(d)
	if err != nil {
		return p, err
	}
	p.Patterns = patterns
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := projectLine(d, &p, robot); err != nil {
			return p, err
		}
	}
	return p, nil
}

func projectLine(d *caddyfile.Dispenser, p *authz.Project, robot RobotFunc) error {
	at := source(d)
	switch d.Val() {
	case "name":
		return scalar(d, &p.Name)
	case "allow":
		g, err := Rule(d)
		p.Grants = append(p.Grants, g)
		return err
	case "deny":
		g, err := Rule(d)
		p.Denies = append(p.Denies, g)
		return err
	case "robot":
		if robot == nil {
			return d.Err("robot: robots cannot be declared here")
		}
		subject, actions, err := robot(d)
		if err == nil && len(actions) > 0 {
			// A robot's actions are those of the Docker protocol.
			actions = authz.TokenActions(actions...).Names()
			p.Grants = append(p.Grants, authz.Grant{Actions: actions, Subjects: []string{subject}, Source: at})
		}
		return err
	case "immutable":
		tags, err := list(d)
		p.Immutable = append(p.Immutable, authz.Immutable{Tags: tags, Source: at})
		return err
	case "require":
		return requirement(d, p)
	case "read_only":
		if d.CountRemainingArgs() == 0 {
			return flag(d, &p.ReadOnly)
		}
	}
	if !nextIsSubject(d) {
		if role := d.Val(); slices.Contains(projectWords, role) {
			return d.Errf("%s: no subject: want for example group:dev, authenticated or anyone", role)
		}
		return unrecognized(d, "project", projectWords...)
	}
	g, err := Grant(d)
	p.Grants = append(p.Grants, g)
	return err
}

// projectWords are what a line of a project may begin with, roles of one's
// own aside.
var projectWords = []string{
	"name", "allow", "deny", "robot", "immutable", "read_only", "require",
	"limited_guest", "guest", "developer", "maintainer", "project_admin", "admin",
}

// nextIsSubject looks at the argument after the token the dispenser is on.
func nextIsSubject(d *caddyfile.Dispenser) bool {
	if !d.NextArg() {
		return false
	}
	defer d.Prev()
	return isSubject(d.Val())
}

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

// requirement reads what a manifest must have to be pulled:
//
//	require signature {
//		key <absolute path of a PEM file, placeholder or PEM text...>
//	}
//
// One line `require signature <key...>` is the same.
func requirement(d *caddyfile.Dispenser, p *authz.Project) error {
	rule := &authz.SignatureRule{Source: source(d)}
	switch {
	case !d.NextArg():
		return d.ArgErr()
	case d.Val() != "signature":
		return d.Errf("require %s: want signature", d.Val())
	case p.RequireSignature != nil:
		return d.Err("require signature already specified: it takes several keys")
	}
	for d.NextArg() {
		if err := signatureKey(d, rule); err != nil {
			return err
		}
	}
	options := Options{"key": func(d *caddyfile.Dispenser) error {
		if d.CountRemainingArgs() == 0 {
			return d.ArgErr()
		}
		for d.NextArg() {
			if err := signatureKey(d, rule); err != nil {
				return err
			}
		}
		return nil
	}}
	if err := options.Read(d, "require signature"); err != nil {
		return err
	}
	if len(rule.Keys) == 0 {
		return d.Err("require signature: no key: want for example key /etc/caddy/cosign.pub")
	}
	p.RequireSignature = rule
	return nil
}

// signatureKey takes the key that the dispenser is on. What it may not be is
// a relative path: relative to what would depend on how Caddy was started.
func signatureKey(d *caddyfile.Dispenser, rule *authz.SignatureRule) error {
	key := strings.TrimSpace(d.Val())
	if !strings.HasPrefix(key, "/") && !strings.HasPrefix(key, "{") && !strings.HasPrefix(key, "-----BEGIN ") {
		return d.Errf("require signature: key %.40q: want the absolute path of a PEM file, a placeholder, or PEM text", key)
	}
	rule.Keys = append(rule.Keys, key)
	return nil
}
