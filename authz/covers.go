package authz

import (
	"strings"

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
	policy  *Policy
	admin   bool
	catalog Action
	limits  []authn.Limit // nil: none
	grants  []holding
	// alike are grants with conditions or tags that are the same for everybody
	// whom they are about: not held for certain, but as much as others hold it.
	alike  []holding
	denies []holding
	own    *Permissions
}

// holding is what one pattern of a rule gives or takes.
type holding struct {
	pattern pattern
	actions Action
	rule    *Rule
}

// Holdings looks through all rules for those that concern a principal.
func (p *Policy) Holdings(principal *authn.Principal, q *Query) *Holdings {
	if p.IsAdmin(principal, q) {
		h := &Holdings{policy: p, admin: true, catalog: p.holdsCatalog(principal, q)}
		h.bound(principal)
		return h
	}
	return p.PlainHoldings(principal, q)
}

// PlainHoldings are the holdings of a principal apart from what it may do as an
// administrator.
func (p *Policy) PlainHoldings(principal *authn.Principal, q *Query) *Holdings {
	h := &Holdings{policy: p, catalog: p.holdsCatalog(principal, q)}
	h.bound(principal)
	ids, unread := p.subjects.resolve(principal, nil), p.subjects.unread(principal)
	for _, r := range p.rules {
		if !r.Shadow && (r.about(ids) >= 0 || r.Kind == RuleDeny && r.about(unread) >= 0) {
			h.add(r, principal)
		}
	}
	if p.facts != nil && !principal.IsAnonymous() {
		h.own = p.facts.Permissions(principal)
	}
	return h
}

// bound keeps them within the limits of the credential. One from before a deny
// rule that it says nothing about holds nothing.
func (h *Holdings) bound(principal *authn.Principal) {
	if principal != nil {
		h.limits = principal.Limits
	}
	if h.policy.stale(principal) {
		h.limits = []authn.Limit{}
	}
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
			for _, filled := range outer.filled(principal) {
				h.grant(holding{filled, r.Actions, r})
			}
		case RuleDeny:
			h.denies = append(h.denies, holding{outer.wildcards(), r.Actions, r})
		}
	}
}

func (h *Holdings) grant(g holding) {
	if (g.rule.conditions != nil || len(g.rule.Tags) > 0) && g.rule.impersonal() {
		h.alike = append(h.alike, g)
	}
	if len(g.rule.Tags) > 0 {
		g.actions &^= tagged
	}
	if g.rule.conditions == nil && g.actions != 0 {
		h.grants = append(h.grants, g)
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
		have &= h.certain(inner) &^ h.denied(inner, nil)
	}
	return want &^ have
}

// certain returns the actions that rules give on all of a pattern, whatever
// the circumstances, before deny rules take some of them.
func (h *Holdings) certain(inner pattern) (have Action) {
	for i := range h.grants {
		if g := &h.grants[i]; have|g.actions != have && inner.within(g.pattern) {
			have |= g.actions
		}
	}
	if h.own != nil {
		have |= h.own.onAll(inner)
	}
	return have
}

// denied returns the actions that deny rules may take somewhere on a pattern,
// but for those rules of which except says that they do not matter.
func (h *Holdings) denied(inner pattern, except func(*Rule) bool) (actions Action) {
	for i := range h.denies {
		d := &h.denies[i]
		if d.actions&^actions != 0 && inner.meets(d.pattern) && (except == nil || !except(d.rule)) {
			actions |= d.actions
		}
	}
	return actions
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

// Concern is a rule that is about a principal, and what the principal is that
// makes it so.
type Concern struct {
	Rule *Rule
	// Subject as the rule has it: "group:dev", "authenticated".
	Subject string

	text *Rule // with the principal's own subjects
}

// String returns the rule in one line, with nobody else in it.
func (c Concern) String() string { return c.text.String() }

// Concerning returns the rules that give a principal something or take it, in
// the order of the configuration. What they say of conditions, tags and
// placeholders is for the moment of a request.
func (p *Policy) Concerning(principal *authn.Principal) []Concern {
	ids := p.subjects.resolve(principal, nil)
	var found []Concern
	for _, r := range p.rules {
		if r.Shadow {
			continue
		}
		if i := r.about(ids); i >= 0 {
			found = append(found, Concern{Rule: r, Subject: r.Subjects[i], text: r.own(ids)})
		}
	}
	if p.facts != nil {
		if own := p.facts.Permissions(principal); own != nil {
			found = append(found, Concern{Rule: own.asRule(), Subject: principal.String(), text: own.asRule()})
		}
	}
	return found
}

// Conditional reports whether the rule holds only under conditions.
func (r *Rule) Conditional() bool { return r.conditions != nil }

// limit returns the part of want that a principal's credential allows at
// most. It is the same upper bound for everybody, administrators too.
func limit(p *authn.Principal, kind, name string, want Action) Action {
	if p == nil || p.Limits == nil {
		return want
	}
	var allowed Action
	for i := range p.Limits {
		l := &p.Limits[i]
		if resourceType(l.Type) != kind || !matchPattern(l.Name, name) {
			continue
		}
		for _, action := range l.Actions {
			allowed |= limitAction(action)
		}
		if allowed.Has(want) {
			break
		}
	}
	return want & allowed
}

// TokenActions translates actions as credentials have them, such as a robot's
// or those of a scope: who may pull may list the tags, who may push may move
// them, "*" is everything. Unknown actions allow nothing.
func TokenActions(names ...string) Action {
	var actions Action
	for _, name := range names {
		actions |= limitAction(name)
	}
	return actions
}

// limitAction translates an action of the Docker token specification, which
// knows fewer: who may pull may list the tags, who may push may move them.
// An unknown action allows nothing.
func limitAction(name string) Action {
	switch name {
	case "pull":
		return Pull | List
	case "push":
		return Push | Overwrite
	}
	a, err := ParseAction(name)
	if err != nil {
		return 0
	}
	return a
}

// resourceType returns a type without its class, "repository" for
// "repository(plugin)". No type at all is a repository.
func resourceType(t string) string {
	if t == "" {
		return TypeRepository
	}
	if i := strings.IndexByte(t, '('); i > 0 && strings.HasSuffix(t, ")") {
		return t[:i]
	}
	return t
}
