package caddyfile

import (
	"slices"

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
