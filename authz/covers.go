package authz

import (
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Within reports whether every repository that the pattern inner matches is
// matched by the pattern outer too. Where it cannot be sure, it says no.
// Patterns with placeholders, and what is no pattern, are within nothing.
func Within(inner, outer string) bool {
	a, errA := parsePattern(inner)
	b, errB := parsePattern(outer)
	return errA == nil && errB == nil && !a.placeholders() && !b.placeholders() && a.within(b)
}

// IsAdmin reports whether a principal is an administrator for a request from
// q.Remote at q.Time. The limits of its credential are not looked at.
func (p *Policy) IsAdmin(principal *authn.Principal, q *Query) bool {
	f := facts{principal: principal, query: *q, want: AllActions}
	e := evaluation{ids: p.subjects.resolve(principal, nil)}
	admin := e.admin(p, &f)
	return admin.got.Has(AllActions)
}

// Beyond returns the part of a permission that limits do not have on all that
// it is about; none if it is within them.
func Beyond(limits []authn.Limit, l authn.Limit) Action {
	want := TokenActions(l.Actions...)
	if resourceType(l.Type) == TypeRegistry {
		return want &^ limit(&authn.Principal{Limits: append([]authn.Limit{}, limits...)}, TypeRegistry, l.Name, want)
	}
	inner, err := parsePattern(l.Name)
	if err != nil || inner.placeholders() || resourceType(l.Type) != TypeRepository {
		return want
	}
	return want &^ held(limits, inner)
}

// Missing returns the part of a permission that a principal does not hold for
// certain and so may not hand on; none if it may. Certain is what a rule
// without conditions gives on every repository that the permission is about,
// and no deny rule may take on any of them; where that can't be told, the
// action is missing. An administrator, for a request from q.Remote at q.Time,
// holds everything. The limits of the credential bound it.
func (p *Policy) Missing(principal *authn.Principal, l authn.Limit, q *Query) Action {
	want := TokenActions(l.Actions...)
	if resourceType(l.Type) == TypeRegistry {
		return p.missingCatalog(principal, want, q)
	}
	inner, err := parsePattern(l.Name)
	if err != nil || inner.placeholders() || resourceType(l.Type) != TypeRepository {
		return want
	}
	missing := want
	if principal != nil && principal.Limits != nil {
		missing = want &^ held(principal.Limits, inner)
		if want &^= missing; want == 0 {
			return missing
		}
	} else {
		missing = 0
	}
	if p.IsAdmin(principal, q) {
		return missing
	}
	return missing | want&^p.certain(principal, inner)
}

// missingCatalog is Missing for the catalog, which is listed and nothing else.
func (p *Policy) missingCatalog(principal *authn.Principal, want Action, q *Query) Action {
	ask := *q
	ask.Type, ask.Repository, ask.Action = TypeRegistry, CatalogName, List
	d := p.Decide(principal, &ask)
	switch {
	case !d.Allowed:
		return want
	case p.IsAdmin(principal, q):
		return want &^ limit(principal, TypeRegistry, CatalogName, want)
	}
	// Pull stands for list here, as in scopes.
	return want &^ (Pull | List)
}

// held returns the actions that a list of permissions has on all of a pattern.
func held(list []authn.Limit, inner pattern) Action {
	var actions Action
	for _, l := range list {
		outer, err := parsePattern(l.Name)
		if err == nil && resourceType(l.Type) == TypeRepository && !outer.placeholders() && inner.within(outer) {
			actions |= TokenActions(l.Actions...)
		}
	}
	return actions
}

// certain returns the actions that rules give to a principal on all of a
// pattern whatever the circumstances.
func (p *Policy) certain(principal *authn.Principal, inner pattern) Action {
	var have, denied Action
	is := p.names(principal)
	for _, r := range p.rules {
		if r.Shadow || !slices.ContainsFunc(r.Subjects, func(s string) bool { return is[s] }) {
			continue
		}
		switch r.Kind {
		case RuleGrant, RuleAnonymousRead, RuleAuthenticatedRead:
			if r.conditions == nil && have|r.Actions != have && anyPattern(r.Patterns, func(outer pattern) bool {
				return slices.ContainsFunc(outer.filled(principal), inner.within)
			}) {
				if len(r.Tags) > 0 {
					have |= r.Actions &^ tagged
				} else {
					have |= r.Actions
				}
			}
		case RuleDeny:
			if anyPattern(r.Patterns, func(outer pattern) bool { return inner.meets(outer.wildcards()) }) {
				denied |= r.Actions
			}
		}
	}
	if p.facts != nil && !principal.IsAnonymous() {
		if own := p.facts.Permissions(principal); own != nil {
			have |= own.onAll(inner)
		}
	}
	return have &^ denied
}

// names returns the subjects that a principal is, as rules spell them.
func (p *Policy) names(principal *authn.Principal) map[string]bool {
	is := map[string]bool{}
	for _, id := range p.subjects.resolve(principal, nil) {
		is[p.subjects.names[id]] = true
	}
	return is
}

func anyPattern(list []string, holds func(pattern) bool) bool {
	return slices.ContainsFunc(list, func(text string) bool {
		p, err := parsePattern(text)
		return err == nil && holds(p)
	})
}

// onAll returns the actions that are permitted on all of a pattern.
func (p *Permissions) onAll(inner pattern) Action {
	var actions Action
	for _, e := range p.list {
		if outer, err := parsePattern(e.pattern); err == nil && e.kind == TypeRepository && inner.within(outer) {
			actions |= e.actions
		}
	}
	return actions
}

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
