package authz

import "github.com/caddy-registry-auth/caddy-registry-auth/authn"

// ExplainOwn is [Policy.Explain] for the principal itself to read, who is not to
// learn from it who else has rights or where rules are written: the rules are
// those that are about it, with nobody else in them. Of a repository that it may
// not see it learns nothing but that.
func (p *Policy) ExplainOwn(principal *authn.Principal, q *Query) *Explanation {
	x := p.Explain(principal, q)
	x.Would = nil
	ids := p.subjects.resolve(principal, nil)
	if !x.Allowed && !p.sees(principal, q) {
		x.Rules, x.Decision.Rule, x.Decision.Missing = nil, nil, q.Action
		return x
	}
	for i := range x.Rules {
		x.Rules[i].Rule = x.Rules[i].Rule.own(ids)
	}
	if x.Decision.Rule != nil && x.Decision.Rule != limitRule {
		x.Decision.Rule = x.Decision.Rule.own(ids)
	}
	return x
}

// sees reports whether a principal may pull from a repository, or list its tags.
func (p *Policy) sees(principal *authn.Principal, q *Query) bool {
	for _, action := range []Action{Pull, List} {
		look := *q
		look.Action, look.Tag, look.Tags = action, "", nil
		if d := p.Decide(principal, &look); d.Allowed {
			return true
		}
	}
	return false
}

// own is the rule with no subjects but those that somebody is, and without the
// place where it is written.
func (r *Rule) own(ids []subjectID) *Rule {
	out := &Rule{
		Kind: r.Kind, Project: r.Project, Patterns: r.Patterns, Role: r.Role, Actions: r.Actions, Tags: r.Tags, Shadow: r.Shadow,
		conditions: r.conditions,
	}
	if r.ids == nil { // what was given to the principal itself, and what is about nobody
		out.Subjects = r.Subjects
	}
	for i, id := range r.ids {
		if is(ids, id) {
			out.Subjects = append(out.Subjects, r.Subjects[i])
		}
	}
	return out
}
