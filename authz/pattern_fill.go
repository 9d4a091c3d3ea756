package authz

import (
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// filled returns the patterns that a principal makes of one with placeholders:
// one for each group, none if there is nothing to fill in.
func (p pattern) filled(principal *authn.Principal) []pattern {
	if !p.placeholders() {
		return []pattern{p}
	}
	if principal.IsAnonymous() {
		return nil
	}
	groups := []string{""}
	if slices.ContainsFunc(p.segments, func(s segment) bool {
		return slices.ContainsFunc(s.parts, func(q part) bool { return q.kind == partGroups })
	}) {
		groups = principal.Groups
	}
	var list []pattern
	for _, group := range groups {
		if filled, ok := p.fill(principal, group); ok {
			list = append(list, filled)
		}
	}
	return list
}

func (p pattern) fill(principal *authn.Principal, group string) (pattern, bool) {
	out := pattern{segments: make([]segment, len(p.segments))}
	for i, s := range p.segments {
		if s.deep() {
			out.segments[i] = s
			continue
		}
		next := segment{text: s.text}
		for _, q := range s.parts {
			if q.kind != partStar {
				value, ok := q.value(principal, group)
				if !ok {
					return pattern{}, false
				}
				q = part{partLiteral, value}
			}
			next.parts = append(next.parts, q)
		}
		out.segments[i] = next
	}
	return out, true
}
