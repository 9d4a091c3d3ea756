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

// Meet reports whether there may be a repository that both patterns match.
// Where it cannot be sure, it says yes: so for patterns with placeholders, and
// for what is no pattern.
func Meet(one, other string) bool {
	a, errA := parsePattern(one)
	b, errB := parsePattern(other)
	return errA != nil || errB != nil || a.placeholders() || b.placeholders() || a.meets(b)
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
// certain; see [Policy.Holdings], which is for asking more than once.
func (p *Policy) Missing(principal *authn.Principal, l authn.Limit, q *Query) Action {
	return p.Holdings(principal, q).Missing(l)
}

// Holdings are what a principal holds for certain and so may hand on. Certain
// is what a rule without conditions gives on every repository that a
// permission is about, and no deny rule may take on any of them; where that
// can't be told, it is not held. An administrator, for a request from q.Remote
// at q.Time, holds everything. The limits of the credential bound it.
type Holdings struct {
	admin   bool
	catalog Action
	limits  []authn.Limit // nil: none
	grants  []holding
	denies  []holding
	own     *Permissions
}

// holding is what one pattern of a rule gives or takes.
type holding struct {
	pattern pattern
	actions Action
}

// Holdings looks through all rules for those that concern a principal.
func (p *Policy) Holdings(principal *authn.Principal, q *Query) *Holdings {
	h := &Holdings{admin: p.IsAdmin(principal, q), catalog: p.holdsCatalog(principal, q)}
	if principal != nil {
		h.limits = principal.Limits
	}
	if p.stale(principal) {
		h.limits = []authn.Limit{}
	}
	if h.admin {
		return h
	}
	is, unread := map[string]bool{}, map[string]bool{}
	for _, id := range p.subjects.resolve(principal, nil) {
		is[p.subjects.names[id]] = true
	}
	for _, id := range p.subjects.unread(principal) {
		unread[p.subjects.names[id]] = true
	}
	for _, r := range p.rules {
		if !r.Shadow && slices.ContainsFunc(r.Subjects, func(s string) bool { return is[s] || r.Kind == RuleDeny && unread[s] }) {
			h.add(r, principal)
		}
	}
	if p.facts != nil && !principal.IsAnonymous() {
		h.own = p.facts.Permissions(principal)
	}
	return h
}

// add takes in a rule that concerns the principal.
func (h *Holdings) add(r *Rule, principal *authn.Principal) {
	for _, text := range r.Patterns {
		outer, err := parsePattern(text)
		if err != nil {
			continue
		}
		switch r.Kind {
		case RuleGrant, RuleAnonymousRead, RuleAuthenticatedRead:
			actions := r.Actions
			if len(r.Tags) > 0 {
				actions &^= tagged
			}
			if r.conditions != nil || actions == 0 {
				continue
			}
			for _, filled := range outer.filled(principal) {
				h.grants = append(h.grants, holding{filled, actions})
			}
		case RuleDeny:
			h.denies = append(h.denies, holding{outer.wildcards(), r.Actions})
		}
	}
}

// holdsCatalog returns what may be handed on of the catalog, which is listed
// and nothing else. Pull stands for list there, as in scopes.
func (p *Policy) holdsCatalog(principal *authn.Principal, q *Query) Action {
	ask := *q
	ask.Type, ask.Repository, ask.Action = TypeRegistry, CatalogName, List
	d := p.Decide(principal, &ask)
	switch {
	case !d.Allowed:
		return 0
	case p.IsAdmin(principal, q):
		return limit(principal, TypeRegistry, CatalogName, AllActions)
	}
	return Pull | List
}

// Admin reports whether an administrator holds them. The limits of the
// credential are not looked at.
func (h *Holdings) Admin() bool { return h.admin }

// Missing returns the part of a permission that is not held; none if it may be
// handed on.
func (h *Holdings) Missing(l authn.Limit) Action {
	want := TokenActions(l.Actions...)
	if resourceType(l.Type) == TypeRegistry {
		if l.Name != CatalogName {
			return want
		}
		return want &^ h.catalog
	}
	inner, err := parsePattern(l.Name)
	if err != nil || inner.placeholders() || resourceType(l.Type) != TypeRepository {
		return want
	}
	have := AllActions
	if h.limits != nil {
		have = held(h.limits, inner)
	}
	if !h.admin {
		have &= h.certain(inner)
	}
	return want &^ have
}

// certain returns the actions that rules give on all of a pattern, whatever
// the circumstances.
func (h *Holdings) certain(inner pattern) Action {
	var have, denied Action
	for i := range h.grants {
		if g := &h.grants[i]; have|g.actions != have && inner.within(g.pattern) {
			have |= g.actions
		}
	}
	if h.own != nil {
		have |= h.own.onAll(inner)
	}
	for i := range h.denies {
		if d := &h.denies[i]; have&d.actions&^denied != 0 && inner.meets(d.pattern) {
			denied |= d.actions
		}
	}
	return have &^ denied
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
