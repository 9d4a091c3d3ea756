package caddyfile

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

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
