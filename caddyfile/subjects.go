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

var conditionNames = []string{"when", "from", "until", "between"}

// condition reads one condition of a rule:
//
//	when    `<CEL expression>`
//	from    <network...>
//	until   <date or time>
//	between <hours> [<days>] [<time zone>]
//
// It reports false if the directive is none.
func condition(d *caddyfile.Dispenser, c *authz.Conditions) (bool, error) {
	switch d.Val() {
	case "when":
		return true, scalar(d, &c.When)
	case "until":
		return true, scalar(d, &c.Until)
	case "from":
		networks, err := list(d)
		c.From = append(c.From, networks...)
		return true, err
	case "between":
		if c.Between != "" {
			return true, Twice(d, "between")
		}
		words, err := list(d)
		c.Between = strings.Join(words, " ")
		return true, err
	}
	return false, nil
}
