package authz

import (
	"fmt"
	"net/netip"
	"slices"
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

// ExplainOwn is [Policy.Explain] for the principal itself to read, who is not to
// learn from it who else has rights or where rules are written: the rules are
// those that are about it, with nobody else in them. Of a repository that it may
// not see it learns nothing but that.
func (p *Policy) ExplainOwn(principal *authn.Principal, q *Query) *Explanation {
	x := p.Explain(principal, q)
	x.Would = nil
	ids := p.subjects.resolve(principal, nil)
	if !x.Allowed && !p.sees(principal, q) {
		x.Rules, x.Rule, x.Missing = nil, nil, q.Action
		return x
	}
	for i := range x.Rules {
		x.Rules[i].Rule = x.Rules[i].Rule.own(ids)
	}
	if x.Rule != nil && x.Rule != limitRule {
		x.Rule = x.Rule.own(ids)
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
