package authz

import (
	"fmt"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Explanation is a decision with everything that led to it, for people. It
// is made by looking, not by deciding fast.
type Explanation struct {
	Decision

	// Principal and Asked say who wanted what: "user:alice", "push on
	// team-a/app:v1".
	Principal string
	Asked     string

	// Rules are those that concern both the principal and the repository
	// and are about an action that was asked for, in the order of the
	// configuration.
	Rules []RuleOutcome

	// Would are the ways in which it would be allowed; empty if it is.
	Would []string
}

// RuleOutcome is what became of one rule.
type RuleOutcome struct {
	Rule    *Rule
	Applies bool
	// Why it does not apply, or what it does.
	Why string
}

// Explain decides as [Policy.Decide] does and says how the decision came
// about and what would allow what was refused.
func (p *Policy) Explain(principal *authn.Principal, q *Query) *Explanation {
	x := &Explanation{
		Decision: p.Decide(principal, q), Principal: principal.String(),
		Asked: q.Action.String() + " on " + q.Repository,
	}
	if q.Tag != "" {
		x.Asked += ":" + q.Tag
	}
	if !q.valid() {
		x.Would = []string{"a repository name that is valid: " + q.Repository + " is not"}
		return x
	}
	s := p.Resolve(principal)
	f := &facts{principal: principal, query: *q, want: q.Action}
	for _, r := range p.concerning(s, q) {
		x.Rules = append(x.Rules, outcomeOf(r, f))
	}
	if !x.Allowed {
		x.Would = p.would(s, f, &x.Decision)
	}
	return x
}

// concerning returns the rules about a principal, a repository and an action
// in the order of the configuration.
func (p *Policy) concerning(s *Subject, q *Query) []*Rule {
	found := map[*Rule]bool{}
	add := func(b *bucket) {
		for _, e := range b.entries {
			concerns := is(s.ids, e.subject) || e.rule.Kind == RuleDeny && is(s.unread, e.subject)
			if concerns && e.rule.Actions&q.Action != 0 {
				found[e.rule] = true
			}
		}
	}
	add(&p.admins)
	for _, at := range p.places(s.principal, q, nil) {
		add(&at.grants)
		add(&at.denies)
		add(&at.shadow)
		for _, r := range at.immutable {
			found[r] = q.Action&tagged != 0
		}
		for _, r := range at.owned {
			if r != nil {
				found[r] = q.Action&writes != 0
			}
		}
		for _, r := range at.creators {
			found[r] = q.Action&r.Actions != 0
		}
		if at.readOnly != nil {
			found[at.readOnly] = q.Action&writes != 0
		}
	}
	if p.readOnly != nil {
		found[p.readOnly] = q.Action&writes != 0
	}
	var rules []*Rule
	for _, r := range p.rules {
		if found[r] {
			rules = append(rules, r)
		}
	}
	return rules
}

// outcomeOf says whether a rule applies, and why not.
func outcomeOf(r *Rule, f *facts) RuleOutcome {
	out := RuleOutcome{Rule: r}
	if why := tagsMissed(r, &f.query); why != "" {
		out.Why = why
		return out
	}
	if r.conditions != nil {
		o, why := r.conditions.explain(f)
		if !o.applies(r.Kind == RuleDeny) {
			out.Why = why
			return out
		}
		out.Why = why + "; "
	}
	out.Applies = !r.Shadow
	switch r.Kind {
	case RuleDeny:
		out.Why += "takes " + (r.Actions & f.want).String()
	case RuleImmutable:
		out.Why += "existing tags stay as they are"
	case RuleReadOnly:
		out.Why += "refuses what writes"
	case RuleOwner:
		out.Why += "lets only the owner change it, once there is one"
	case RuleCreator:
		out.Why += "gives " + (r.Actions & f.want).String() + " to who created it"
	case RuleGrant, RuleAdmin, RuleAnonymousRead, RuleAuthenticatedRead, RuleCatalog, RuleLimit, RulePermission:
		out.Why += "gives " + (r.Actions & f.want).String()
	}
	if r.Shadow {
		out.Why += ", but is a shadow rule and not enforced"
	}
	return out
}

// tagsMissed says which tags keep a rule from applying.
func tagsMissed(r *Rule, q *Query) string {
	if len(r.Tags) == 0 || q.Action&tagged == 0 && r.Kind != RuleImmutable {
		return ""
	}
	tags := q.Tags
	if q.Tag != "" {
		tags = append([]string{q.Tag}, tags...)
	}
	for _, tag := range tags {
		if matchTags(r.Tags, tag) {
			return ""
		}
	}
	if len(tags) == 0 {
		return ""
	}
	return fmt.Sprintf("is about the tags %s, not %s", strings.Join(r.Tags, " "), strings.Join(tags, " "))
}

// explain evaluates the conditions for all that is asked for and puts the
// result into words.
func (c *conditions) explain(f *facts) (outcome, string) {
	o := c.hold(f, f.want)
	var why []string
	if c.from != nil && within(c.from, f.query.Remote) != holds {
		why = append(why, fmt.Sprintf("the client address %s is not in %s", orNone(addrText(f.query.Remote)), prefixes(c.from)))
	}
	if !c.until.IsZero() && !f.now().Before(c.until) {
		why = append(why, "it ended "+c.until.Format("2006-01-02 15:04 MST"))
	}
	if c.between != nil && !c.between.contain(f.now()) {
		why = append(why, "it does not hold at "+f.now().In(c.between.zone).Format("15:04 Mon MST"))
	}
	if c.when != nil {
		switch c.when.hold(f, f.want) {
		case fails:
			why = append(why, "when `"+c.when.text+"` is false")
		case unclear:
			why = append(why, "when `"+c.when.text+"` cannot be evaluated: "+c.when.failure(f))
		case holds, later:
		}
	}
	if len(why) == 0 {
		return o, "its conditions hold"
	}
	return o, strings.Join(why, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
