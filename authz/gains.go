package authz

import (
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Gain is something that rules give a principal for its name.
type Gain struct {
	Rule *Rule
	// Pattern is which repositories it is about, as the rule has it.
	Pattern string
	Actions Action
}

// Lacking returns what rules give another principal, such as a robot whose
// secret is to be handed out, and who has these holdings does not hold: with
// that secret it would be theirs. Conditions of a rule do not matter, since they
// may hold some day, unless the same rule is about both and looks at neither.
// What was given to the other principal itself is not looked at: it is known
// who may give it.
func (h *Holdings) Lacking(other *authn.Principal) (gains []Gain) {
	p := h.policy
	ids := p.subjects.resolve(other, nil)
	theirs := &Holdings{policy: p}
	var grants []*Rule
	for _, r := range p.rules {
		switch {
		case r.Shadow || r.about(ids) < 0:
		case r.Kind == RuleAdmin:
			if missing := h.Missing(authn.Limit{Type: TypeRepository, Name: "**", Actions: []string{"*"}}); !h.admin || missing != 0 {
				gains = append(gains, Gain{r, "**", AllActions})
			}
		case r.Kind == RuleDeny:
			theirs.add(r, other)
		default:
			grants = append(grants, r)
		}
	}
	// A deny rule that is about both takes as much from the one as from the
	// other, where it looks at neither.
	both := func(r *Rule) bool {
		return r.about(ids) >= 0 && r.impersonal() && !slices.ContainsFunc(r.Patterns, func(text string) bool { return strings.Contains(text, "{") })
	}
	for _, r := range grants {
		for _, text := range r.Patterns {
			outer, err := parsePattern(text)
			if err != nil {
				continue
			}
			for _, inner := range outer.filled(other) {
				missing := r.Actions &^ theirs.taken(inner) &^ h.asMuch(inner, r, both)
				if missing != 0 {
					gains = append(gains, Gain{r, text, missing})
				}
			}
		}
	}
	return gains
}

// Gains returns what rules give a principal for its name, whoever it is of whom
// they do not say more.
func (p *Policy) Gains(principal *authn.Principal) []Gain {
	return (&Holdings{policy: p}).Lacking(principal)
}

// asMuch returns the actions on all of a pattern that are held at least where a
// rule gives them to somebody else.
func (h *Holdings) asMuch(inner pattern, r *Rule, both func(*Rule) bool) Action {
	have := AllActions
	if h.limits != nil {
		have = held(h.limits, inner)
	}
	if h.admin {
		return have
	}
	held := h.certain(inner)
	for i := range h.alike {
		if g := &h.alike[i]; g.rule == r && inner.within(g.pattern) {
			held |= g.actions
		}
	}
	return have & held &^ h.denied(inner, both)
}

// taken returns the actions that deny rules take on all of a pattern, whatever
// the circumstances.
func (h *Holdings) taken(inner pattern) (actions Action) {
	for i := range h.denies {
		if d := &h.denies[i]; d.rule.conditions == nil && len(d.rule.Tags) == 0 && !d.pattern.placeholders() && inner.within(d.pattern) {
			actions |= d.actions
		}
	}
	return actions
}

// Terms are under which conditions somebody is an administrator.
type Terms struct {
	// From are the networks; none: from anywhere.
	From []string
	// Until is when it ends; zero: never.
	Until time.Time
	// Changing: at some hours only, or as an expression says.
	Changing bool
}

// AdminTerms returns the conditions of each rule that makes a principal an
// administrator for a request from q.Remote at q.Time; none if it is none.
func (p *Policy) AdminTerms(principal *authn.Principal, q *Query) (list []Terms) {
	ids := p.subjects.resolve(principal, nil)
	f := &facts{principal: principal, query: *q, want: AllActions}
	for _, e := range p.admins.entries {
		c := e.rule.conditions
		switch {
		case !is(ids, e.subject) || c != nil && c.hold(f, AllActions) != holds:
		case c == nil:
			list = append(list, Terms{})
		default:
			list = append(list, Terms{From: c.written.From, Until: c.until, Changing: c.between != nil || c.when != nil})
		}
	}
	return list
}

// About reports whether a subject, as rules spell it, is one that a principal is
// whatever its roles are.
func About(subject string, principal *authn.Principal) bool {
	t := newSubjects()
	id, err := t.intern(subject)
	if err != nil {
		return false
	}
	t.sources = []roleSource{rolesOfToken, rolesOfHeader}
	return is(t.resolve(principal, nil), id)
}

// OwnersMatter reports whether rules give the owner of a repository or namespace
// anything that others do not have.
func (p *Policy) OwnersMatter(by OwnedBy, name string) bool {
	if by == OwnedNamespace {
		name += "/**"
	}
	inner, err := parsePattern(name)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(p.rules, func(r *Rule) bool {
		owned := r.Kind == RuleOwner && r.Role == by.String() || r.Kind == RuleCreator && by == OwnedRepository
		return owned && slices.ContainsFunc(r.Patterns, func(text string) bool {
			outer, err := parsePattern(text)
			return err != nil || inner.meets(outer.wildcards())
		})
	})
}
