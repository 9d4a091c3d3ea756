package authz

import (
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// matches reports whether the segment of a pattern matches one of a
// repository's name, with the principal's values for the placeholders.
// {groups} is one attempt per group.
func (s segment) matches(name string, p *authn.Principal) bool {
	for _, part := range s.parts {
		if part.kind != partGroups {
			continue
		}
		if p.IsAnonymous() {
			return false
		}
		for _, group := range p.Groups {
			if s.matchesWith(name, p, group) {
				return true
			}
		}
		return false
	}
	return s.matchesWith(name, p, "")
}

// matchesWith is the usual glob match that goes back to the last star only:
// it takes time proportional to the product of the lengths at worst.
func (s segment) matchesWith(name string, p *authn.Principal, group string) bool {
	part, at := 0, 0
	star, starAt := -1, 0
	for {
		switch {
		case part == len(s.parts) && at == len(name):
			return true
		case part < len(s.parts) && s.parts[part].kind == partStar:
			star, starAt = part, at
			part++
			continue
		case part < len(s.parts):
			value, ok := s.parts[part].value(p, group)
			if !ok {
				return false
			}
			if strings.HasPrefix(name[at:], value) {
				at += len(value)
				part++
				continue
			}
		}
		if star < 0 || starAt >= len(name) {
			return false
		}
		starAt++
		part, at = star+1, starAt
	}
}

// value is what a part stands for: false if it is a placeholder that this
// principal cannot fill, or that would be more than a piece of a name.
func (q part) value(p *authn.Principal, group string) (string, bool) {
	v := ""
	switch q.kind {
	case partLiteral:
		return q.text, true
	case partUser:
		// Not for robots and workloads: one that is called like a user
		// would otherwise have the user's namespace.
		if p.IsAnonymous() || p.Kind != authn.KindUser {
			return "", false
		}
		v = p.Name
	case partGroups:
		v = group
	case partClaim:
		if p.IsAnonymous() {
			return "", false
		}
		claim, _ := p.Claim(q.text)
		v, _ = claim.(string)
	}
	return v, nameCharacters(v)
}

// matchPattern reports whether a pattern without placeholders, as the limits
// of a credential have them, matches a repository's name. It takes the
// pattern as text, so that a limit costs no parsing; a pattern that is not
// well formed matches at most what it spells.
func matchPattern(pattern, name string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == name
	}
	// after is the state to go back to: the pattern behind the last "**" and
	// the name it was tried on.
	var afterPattern, afterName string
	back := false
	for {
		head, rest, more := strings.Cut(pattern, "/")
		if head == "**" {
			if !more {
				return name != ""
			}
			pattern, afterPattern, afterName, back = rest, rest, name, true
			continue
		}
		segment, restName, moreName := strings.Cut(name, "/")
		if name != "" && matchGlob(head, segment) && more == moreName {
			if !more {
				return true
			}
			pattern, name = rest, restName
			continue
		}
		// A "**" at the end wants something below: a/** does not match a.
		if !back || afterName == "" {
			return false
		}
		_, afterName, _ = strings.Cut(afterName, "/")
		pattern, name = afterPattern, afterName
	}
}

// matchGlob reports whether a glob with stars matches all of s.
func matchGlob(glob, s string) bool {
	g, i := 0, 0
	star, starAt := -1, 0
	for i < len(s) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, starAt = g, i
			g++
		case g < len(glob) && glob[g] == s[i]:
			g++
			i++
		case star >= 0:
			starAt++
			g, i = star+1, starAt
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}
