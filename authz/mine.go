package authz

import "github.com/caddy-registry-auth/caddy-registry-auth/authn"

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
