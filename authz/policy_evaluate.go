package authz

import (
	"slices"
	"time"
)

// evaluation is the state of one decision. It lives on the stack.
type evaluation struct {
	policy  *Policy
	subject *Subject
	query   *Query
	want    Action // what is asked for
	issue   bool   // for a token, before the request: see [Policy.Allowed]

	places  []*place
	catalog bool // instead of places
	clock   time.Time

	// As an administrator: the rule, what it allows, and what it stands above.
	admin    *Rule
	may      Action
	override override

	// The sum under way.
	state tagState
	tag   string
	pass  Action   // what is looked for
	got   Action   // what was found
	by    *Rule    // the first that gave part of what is asked for
	all   *[]*Rule // collects every rule that applies, if set

	// Of the deny rules.
	denied  Action
	denier  *Rule
	unclear bool // it depends on tags that are not known
}

// tagState is what is known of the tags that a query is about.
type tagState uint8

const (
	tagNone    tagState = iota // there is none
	tagKnown                   // it is this one
	tagUnknown                 // the upstream would have to be asked
)

// now is the time of the query, taken when a rule first needs it.
func (e *evaluation) now() time.Time {
	if e.clock.IsZero() {
		if e.clock = e.query.Time; e.clock.IsZero() {
			e.clock = time.Now()
		}
	}
	return e.clock
}

// locate finds the rules that the query is about, false if it is about
// nothing that there can be.
func (e *evaluation) locate(buf []*place) bool {
	switch resourceType(e.query.Type) {
	case typeRepository:
		if !validRepository(e.query.Repository) {
			return false
		}
		e.places = e.policy.index.match(e.query.Repository, e.subject.principal, buf)
	case typeRegistry:
		e.catalog = e.query.Repository == "catalog"
		if !e.catalog {
			return false
		}
	default:
		return false
	}
	e.start(tagNone, "", AllActions)
	e.policy.admins.visit(e)
	e.admin, e.may = e.by, e.got
	return true
}

// frozen returns the rule that makes the repository read-only.
func (e *evaluation) frozen() *Rule {
	if e.override&aboveReadOnly != 0 {
		return nil
	}
	if e.policy.readOnly != nil {
		return e.policy.readOnly
	}
	for _, p := range e.places {
		if p.readOnly != nil {
			return p.readOnly
		}
	}
	return nil
}

// rights returns the part of want that grants give and deny rules leave.
func (e *evaluation) rights(state tagState, tag string, want Action) Action {
	e.denied, e.denier, e.unclear = 0, nil, false
	switch {
	case e.may.Has(want):
		e.by = e.admin
		return want
	case e.catalog:
		return e.catalogRights(want)
	}
	e.start(state, tag, want)
	for _, p := range e.places {
		p.denies.visit(e)
	}
	e.denied, e.denier = e.got, e.by
	e.start(state, tag, want)
	for _, p := range e.places {
		if e.got == want {
			break
		}
		p.grants.visit(e)
	}
	return e.got&^e.denied | e.may&want
}

// catalogRights lets those list the catalog who may list some repository,
// where the catalog is filtered.
func (e *evaluation) catalogRights(want Action) Action {
	e.by = nil
	for _, id := range e.subject.ids {
		if int(id) < len(e.policy.listers) && e.policy.listers[id] {
			e.by = catalogRule
			return want & List
		}
	}
	return 0
}

// start begins a new sum.
func (e *evaluation) start(state tagState, tag string, pass Action) {
	e.state, e.tag, e.pass, e.got, e.by = state, tag, pass, 0, nil
}

// consider adds a rule that concerns the subject to the sum, and reports
// whether nothing is left to be found.
func (e *evaluation) consider(r *Rule) (done bool) {
	gain := r.Actions & e.pass
	if e.all == nil && r.Kind != RuleAdmin {
		gain &^= e.got
	}
	if gain != 0 && len(r.Tags) > 0 {
		gain = e.tagged(r, gain)
	}
	if gain != 0 && r.conditions != nil {
		gain = e.conditional(r, gain)
	}
	if gain == 0 {
		return false
	}
	if e.all != nil {
		*e.all = append(*e.all, r)
		return false
	}
	e.got |= gain
	if r.Kind == RuleAdmin && gain.Has(e.want) {
		e.override |= r.override
	}
	if e.by == nil && gain&e.want != 0 {
		e.by = r
	}
	// All of an administrator's rules count for what they stand above.
	return e.got == e.pass && r.Kind != RuleAdmin
}

// tagged returns the part of a rule's actions that it is about, given what
// is known of the tag. Uploading blobs and untagged manifests comes before a
// tag and belongs to any right to push.
func (e *evaluation) tagged(r *Rule, gain Action) Action {
	if e.state == tagKnown {
		if matchTags(r.Tags, e.tag) {
			return gain
		}
		return gain &^ tagged
	}
	deny := r.Kind == RuleDeny
	if e.issue {
		if deny {
			return gain &^ tagged
		}
		return gain
	}
	if gain&Delete != 0 {
		if e.state == tagUnknown {
			e.unclear = true
		}
		if !deny || e.state != tagUnknown {
			gain &^= Delete
		}
	}
	if deny {
		gain &^= Push | Overwrite
	}
	return gain
}

// conditional returns the part of a rule's actions for which its conditions
// hold.
func (e *evaluation) conditional(r *Rule, gain Action) Action {
	deny := r.Kind == RuleDeny
	if w := r.conditions.when; w == nil || !w.perAction {
		if r.conditions.hold(e, gain).applies(deny) {
			return gain
		}
		return 0
	}
	var kept Action
	for a := Pull; a <= Manage; a <<= 1 {
		if gain&a != 0 && r.conditions.hold(e, a).applies(deny) {
			kept |= a
		}
	}
	return kept
}

// shadow notes the rules that would have changed the decision.
func (e *evaluation) shadow(d *Decision) {
	var found []*Rule
	state := e.state
	e.start(state, d.tag, e.want)
	e.all = &found
	for _, p := range e.places {
		p.shadow.visit(e)
	}
	e.all = nil
	for _, r := range found {
		denies := r.Kind == RuleDeny
		if changes := d.Allowed && denies || !d.Allowed && !denies && d.Rule == nil; changes && !slices.Contains(d.Shadow, r) {
			d.Shadow = append(d.Shadow, r)
		}
	}
}

// validRepository is the engine's own guard, whatever its caller checked:
// segments that could be a repository's, in all at most 255 characters.
func validRepository(name string) bool {
	if len(name) > 255 {
		return false
	}
	start := 0
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '-':
		case c == '/' && i > start:
			start = i + 1
		case c == '.' && (i == start || name[i-1] != '.'):
		default:
			return false
		}
	}
	return start < len(name)
}
