package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// Rule reads a rule that names its actions:
//
//	allow <action...> <subject...> [{ <conditions> }]
//	deny  <action...> <subject...> [{ <conditions> }]
func Rule(d *caddyfile.Dispenser) (authz.Grant, error) {
	name := d.Val()
	g := authz.Grant{Source: source(d)}
	for d.NextArg() {
		switch word := d.Val(); {
		case isSubject(word):
			g.Subjects = append(g.Subjects, word)
		case len(g.Subjects) > 0:
			return g, d.Errf("%s: %q is not a subject: want for example group:dev, authenticated or anyone", name, word)
		default:
			if _, err := authz.ParseAction(word); err != nil {
				known := append(authz.AllActions.Names(), "authenticated", "anyone")
				if near := authz.Nearest(word, known); near != "" {
					return g, d.Errf("%s: %q is neither an action nor a subject: did you mean %q?", name, word, near)
				}
				return g, d.Errf("%s: %q is neither an action nor a subject such as group:dev", name, word)
			}
			g.Actions = append(g.Actions, word)
		}
	}
	switch {
	case len(g.Actions) == 0:
		return g, d.Errf("%s: no action", name)
	case len(g.Subjects) == 0:
		return g, d.Errf("%s: no subject: want for example group:dev, authenticated or anyone", name)
	}
	err := ruleBlock(d, name, &g)
	return g, err
}

// Grant reads the rule that gives a role, whose name the dispenser is on:
//
//	<role> <subject...> [{ <conditions> }]
func Grant(d *caddyfile.Dispenser) (authz.Grant, error) {
	g := authz.Grant{Role: d.Val(), Source: source(d)}
	subjects, err := list(d)
	if err != nil {
		return g, err
	}
	g.Subjects = subjects
	err = ruleBlock(d, g.Role, &g)
	return g, err
}

// ruleBlock reads what restricts a rule:
//
//	{
//		tags <pattern...>
//		shadow
//		when|from|until|between …
//	}
func ruleBlock(d *caddyfile.Dispenser, name string, g *authz.Grant) error {
	return Options{"tags": List(&g.Tags), "shadow": Flag(&g.Shadow)}.And(conditions(&g.Conditions)).Read(d, name)
}

// Admin reads who is an administrator:
//
//	admin <subject...> [{
//		override immutable read_only
//		when|from|until|between …
//	}]
func Admin(d *caddyfile.Dispenser) (authz.Admin, error) {
	a := authz.Admin{Source: source(d)}
	subjects, err := list(d)
	if err != nil {
		return a, err
	}
	a.Subjects = subjects
	err = Options{"override": List(&a.Override)}.And(conditions(&a.Conditions)).Read(d, "admin")
	return a, err
}

// isSubject tells a subject from a role, an action or a pattern. Whether its
// kind exists is checked with the whole policy.
func isSubject(word string) bool {
	return word == "anyone" || word == "authenticated" || strings.Contains(word, ":")
}

// conditions are what a rule may depend on.
func conditions(c *authz.Conditions) Options {
	return Options{
		"when":  Text(&c.When),
		"until": Text(&c.Until),
		"from":  List(&c.From),
		"between": func(d *caddyfile.Dispenser) error {
			if c.Between != "" {
				return Twice(d, d.Val())
			}
			words, err := list(d)
			c.Between = strings.Join(words, " ")
			return err
		},
	}
}

// Role reads a role of one's own:
//
//	role <name> <action...>
func Role(d *caddyfile.Dispenser) (authz.Role, error) {
	role := authz.Role{Source: source(d)}
	if !d.NextArg() {
		return role, d.ArgErr()
	}
	role.Name = d.Val()
	role.Actions = d.RemainingArgs()
	if len(role.Actions) == 0 {
		return role, d.Errf("role %s grants nothing: name its actions", role.Name)
	}
	return role, noBlock(d, "role")
}

// Read reads who may read without being granted it:
//
//	anonymous_read <pattern...>
//	authenticated_read <pattern...>
func Read(d *caddyfile.Dispenser) (authz.Read, error) {
	name := d.Val()
	read := authz.Read{Source: source(d)}
	patterns, err := list(d)
	if err != nil {
		return read, err
	}
	read.Patterns = patterns
	return read, noBlock(d, name)
}

// noBlock refuses a block where there is none to read.
func noBlock(d *caddyfile.Dispenser, name string) error {
	nesting := d.Nesting()
	if d.NextBlock(nesting) {
		return d.Errf("%s takes no block", name)
	}
	return nil
}
