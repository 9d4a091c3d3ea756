package authz

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// would returns what would have to be otherwise for a refusal to be none.
func (p *Policy) would(s *Subject, f *facts, d *Decision) []string {
	switch {
	case d.Limited():
		return []string{"a credential that is good for " + d.Missing.String() + " on " + d.repository}
	case d.Ask == AskAbsent:
		return []string{"a tag that does not exist yet"}
	case d.Ask == AskTags:
		return []string{"that no protected tag points at the digest"}
	case d.Rule != nil && d.Rule.Kind == RuleImmutable:
		return []string{"another tag, or an administrator with `override immutable`"}
	case d.Rule != nil && d.Rule.Kind == RuleReadOnly:
		return []string{"the end of read-only mode, or an administrator with `override read_only`"}
	case d.Rule != nil && d.Rule.Kind == RuleOwner:
		return []string{"to be its owner, or an administrator: ownership can be transferred"}
	case d.Rule != nil && d.Rule.Kind == RuleDeny:
		return []string{"that the deny rule does not apply: " + d.Rule.where()}
	}
	var ways []string
	if resourceType(f.query.Type) == TypeRegistry {
		return p.wouldList(s)
	}
	for _, r := range p.concerning(s, &f.query) {
		if r.Kind == RuleDeny || r.Shadow || r.Actions&d.Missing == 0 {
			continue
		}
		if out := outcomeOf(r, f); !out.Applies {
			ways = append(ways, fmt.Sprintf("the conditions of %s: %s", r.where(), out.Why))
		}
	}
	for _, h := range p.WhoCan(d.Missing, d.repository) {
		if !h.Denied && !slices.Contains(s.names(), h.Subject) {
			ways = append(ways, fmt.Sprintf("to be %s: %s", h.Subject, h.Rule.where()))
		}
		const most = 20
		if len(ways) == most {
			return append(ways, "…")
		}
	}
	return ways
}

// wouldList is would for the catalog.
func (p *Policy) wouldList(s *Subject) (ways []string) {
	for _, h := range p.WhoCanCatalog() {
		if way := fmt.Sprintf("to be %s: %s", h.Subject, h.Rule.where()); !slices.Contains(s.names(), h.Subject) && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	if p.listers == nil {
		ways = append(ways, "`catalog filtered`, which shows everybody what they may list")
	}
	return ways
}

// names returns how rules call what the principal is.
func (s *Subject) names() []string {
	names := make([]string, len(s.ids))
	for i, id := range s.ids {
		names[i] = s.policy.subjects.names[id]
	}
	return names
}

// Holder is a subject that a rule gives an action, or takes it from.
type Holder struct {
	// Subject as rules spell it: "group:dev".
	Subject string
	// Rule is what gives or takes it, Pattern the repositories it is about.
	Rule    *Rule
	Pattern string
	// Denied: the rule takes the action, whatever the others give.
	Denied bool
	// Conditional: the rule has conditions, tags or placeholders, so that
	// it depends on the request.
	Conditional bool
}

// WhoCan lists the subjects that may do something to a repository, in the
// order of the configuration: administrators, those whom a rule grants all
// of the action, and those whom a rule takes part of it from.
func (p *Policy) WhoCan(action Action, repository string) []Holder {
	var holders []Holder
	if action == 0 || !validRepository(repository) {
		return holders
	}
	for _, r := range p.rules {
		denies := r.Kind == RuleDeny
		if r.Shadow || len(r.Subjects) == 0 || denies && r.Actions&action == 0 || !denies && !r.Actions.Has(action) {
			continue
		}
		h := Holder{Rule: r, Denied: denies, Conditional: r.conditions != nil || len(r.Tags) > 0 && action&tagged != 0}
		if r.Kind != RuleAdmin {
			i := slices.IndexFunc(r.Patterns, func(text string) bool {
				return matchPattern(withoutPlaceholders(text), repository)
			})
			if i < 0 {
				continue
			}
			h.Pattern = r.Patterns[i]
			h.Conditional = h.Conditional || strings.Contains(h.Pattern, "{")
		}
		for _, s := range r.Subjects {
			h.Subject = s
			holders = append(holders, h)
		}
	}
	return holders
}

// WhoCanCatalog lists the subjects that may ask for the catalog:
// administrators and, where it is filtered, whoever may list something.
func (p *Policy) WhoCanCatalog() []Holder {
	var holders []Holder
	for _, r := range p.rules {
		switch {
		case r.Shadow, r.Kind == RuleDeny, !r.Actions.Has(List):
			continue
		case r.Kind == RuleAdmin, p.listers != nil && len(r.Subjects) > 0:
		default:
			continue
		}
		for _, s := range r.Subjects {
			holders = append(holders, Holder{Subject: s, Rule: r, Conditional: r.conditions != nil})
		}
	}
	return holders
}

// withoutPlaceholders is a pattern with stars in the place of placeholders.
func withoutPlaceholders(text string) string {
	p, err := parsePattern(text)
	if err != nil || !p.placeholders() {
		return text
	}
	segments := make([]string, 0, len(p.segments))
	for _, s := range p.wildcards().segments {
		segments = append(segments, s.text)
	}
	return strings.Join(segments, "/")
}

func prefixes(list []netip.Prefix) string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return few(texts)
}
