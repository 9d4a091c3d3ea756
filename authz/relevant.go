package authz

import (
	"maps"
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// add joins what expressions look at.
func (m *mentions) add(o mentions) {
	m.groups = m.groups || o.groups
	m.roles = m.roles || o.roles
	m.allClaims = m.allClaims || o.allClaims
	m.claims = append(m.claims, o.claims...)
}

// addPattern adds what the placeholders of a pattern stand for.
func (m *mentions) addPattern(p pattern) {
	for _, s := range p.segments {
		for _, q := range s.parts {
			switch q.kind {
			case partGroups:
				m.groups = true
			case partClaim:
				if !slices.Contains(m.paths, q.text) {
					m.paths = append(m.paths, q.text)
				}
			case partLiteral, partStar, partUser:
			}
		}
	}
}

// Keep says what others than the policy need to know of a principal.
type Keep struct {
	// Groups and Roles: all of them.
	Groups, Roles bool
	// Claims are the dotted paths of claims.
	Claims []string
}

// Relevant returns a copy of a principal without the groups, roles and
// claims that no rule looks at, so that tokens which carry it stay small.
// Every decision about the copy is the same.
func (p *Policy) Relevant(principal *authn.Principal) *authn.Principal {
	return p.RelevantAnd(principal, Keep{})
}

// RelevantAnd is [Policy.Relevant] with what else is to be kept.
func (p *Policy) RelevantAnd(principal *authn.Principal, keep Keep) *authn.Principal {
	if principal == nil {
		return nil
	}
	out := *principal
	out.Kept = p.kept
	if !p.mentions.groups && !keep.Groups {
		out.Groups = known(principal.Groups, p.subjects.groups)
	}
	if !p.mentions.roles && !keep.Roles {
		out.Roles = known(principal.Roles, p.subjects.roles)
	}
	if principal.Claims != nil && !p.mentions.allClaims {
		out.Claims = map[string]any{}
		for _, name := range p.mentions.claims {
			if v, ok := principal.Claims[name]; ok {
				out.Claims[name] = v
			}
		}
		for _, path := range p.mentions.paths {
			keepClaim(out.Claims, principal.Claims, path)
		}
		for i := range p.subjects.claims {
			keepClaim(out.Claims, principal.Claims, p.subjects.claims[i].path)
		}
		for _, path := range keep.Claims {
			keepClaim(out.Claims, principal.Claims, path)
		}
	}
	return &out
}

// known returns the names that rules mention.
func known(names []string, mentioned map[string]subjectID) []string {
	var out []string
	for _, name := range names {
		if _, ok := mentioned[name]; ok {
			out = append(out, name)
		}
	}
	return out
}

// keepClaim copies the claim at a path, nested as it was: it takes the same
// turns as [authn.LookupClaim].
func keepClaim(to, from map[string]any, path string) bool {
	if v, ok := from[path]; ok {
		to[path] = v
		return true
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		nested, ok := from[path[:i]].(map[string]any)
		if !ok {
			continue
		}
		kept := map[string]any{}
		if before, ok := to[path[:i]].(map[string]any); ok {
			kept = maps.Clone(before)
		}
		if keepClaim(kept, nested, path[i+1:]) {
			to[path[:i]] = kept
			return true
		}
	}
	return false
}
