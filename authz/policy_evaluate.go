package authz

import (
	"slices"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// A decision has its state in three structs, so that all of it stays on the
// stack: what conditions look at (which may reach the heap with them), what
// is found (which is returned), and the rest.

// facts are what conditions look at.
type facts struct {
	principal *authn.Principal
	query     Query
	want      Action // what is asked for
	issue     bool   // for a token, before the request: see [Policy.Allowed]
	spent     uint64 // what expressions have cost so far
}

// now is the time of the query, taken when a rule first needs it.
func (f *facts) now() time.Time {
	if f.query.Time.IsZero() {
		f.query.Time = time.Now()
	}
	return f.query.Time
}

// tally adds up what rules say.
type tally struct {
	pass     Action   // what is looked for
	got      Action   // what was found
	by       *Rule    // the first that gave part of what is asked for
	override override // of administrators
	unclear  *Rule    // whose say on deleting depends on tags that are not known
	collect  bool     // every rule that applies, not only until all is found
	rules    []*Rule
}

// evaluation is what is looked up and where.
type evaluation struct {
	ids    []subjectID
	unread []subjectID // see [subjects.unread]
	places []*place
	state  tagState
	tag    string
}

// tagState is what is known of the tags that a query is about.
type tagState uint8

const (
	tagNone    tagState = iota // there is none
	tagKnown                   // it is this one
	tagUnknown                 // the upstream would have to be asked
)

// admin returns what the subject may do as an administrator.
func (e *evaluation) admin(p *Policy, f *facts) tally {
	t := tally{pass: AllActions}
	e.visit(&p.admins, f, &t)
	return t
}

// rights are what grants give and deny rules leave.
type rights struct {
	have, denied Action
	by, denier   *Rule
	unclear      bool // whether Delete is had depends on tags that are not known
	unread       bool // of denier: the credential does not say whether it holds
}

func (e *evaluation) rights(p *Policy, f *facts, admin *tally, want Action) rights {
	if admin.got.Has(want) {
		return rights{have: want, by: admin.by}
	}
	own, rule := p.own(f, want)
	if resourceType(f.query.Type) == TypeRegistry {
		r := e.catalog(p, want)
		if r.have |= own; r.by == nil {
			r.by = rule
		}
		return r
	}
	if made, by := e.created(p, f, want); made != 0 {
		if own |= made; rule == nil {
			rule = by
		}
	}
	denies, grants := tally{pass: want}, tally{pass: want, got: own, by: rule}
	for _, at := range e.places {
		e.visit(&at.denies, f, &denies)
	}
	told := denies.by
	if len(e.unread) > 0 {
		for _, at := range e.places {
			e.visitUnread(&at.denies, f, &denies)
		}
	}
	if open := p.subjects.denied.open; len(open) > 0 && !f.principal.IsAnonymous() {
		e.visitOpen(open, f, &denies)
	}
	for _, at := range e.places {
		if grants.got == want {
			break
		}
		e.visit(&at.grants, f, &grants)
	}
	r := rights{
		have: grants.got&^denies.got | admin.got&want, denied: denies.got,
		by: grants.by, denier: denies.by, unread: told == nil && denies.by != nil,
	}
	switch {
	case denies.got.Has(Delete) || admin.got.Has(Delete):
	case denies.unclear != nil && (r.have.Has(Delete) || grants.unclear != nil):
		r.unclear = true
		r.have, r.denied, r.denier = r.have&^Delete, r.denied|Delete, denies.unclear
	case !r.have.Has(Delete):
		r.unclear = grants.unclear != nil
	}
	return r
}

// catalog lets those list the catalog who may list some repository, where
// the catalog is filtered.
func (e *evaluation) catalog(p *Policy, want Action) rights {
	for _, id := range e.ids {
		if int(id) < len(p.listers) && p.listers[id] {
			return rights{have: want & List, by: catalogRule}
		}
	}
	return rights{}
}

// visit adds the rules of everything that the subject is, until all that is
// looked for is found.
func (e *evaluation) visit(b *bucket, f *facts, t *tally) {
	if b.spans == nil {
		for i := range b.entries {
			if is(e.ids, b.entries[i].subject) && e.consider(b.entries[i].rule, f, t) {
				return
			}
		}
		return
	}
	for _, id := range e.ids {
		s := b.spans[id]
		for i := s.from; i < s.to; i++ {
			if e.consider(b.entries[i].rule, f, t) {
				return
			}
		}
	}
}

// consider adds a rule that concerns the subject, and reports whether
// nothing is left to be found.
func (e *evaluation) consider(r *Rule, f *facts, t *tally) (done bool) {
	// All of an administrator's rules count, for what they stand above.
	all := t.collect || r.Kind == RuleAdmin
	gain := r.Actions & t.pass
	if !all {
		gain &^= t.got
	}
	if gain != 0 && r.conditions != nil {
		gain = conditional(r, f, gain)
	}
	if gain != 0 && len(r.Tags) > 0 {
		gain = e.tagged(r, f, t, gain)
	}
	if gain == 0 {
		return false
	}
	t.got |= gain
	if t.by == nil && gain&f.want != 0 {
		t.by = r
	}
	if r.Kind == RuleAdmin && gain.Has(f.want) {
		t.override |= r.override
	}
	if t.collect {
		t.rules = append(t.rules, r)
	}
	return !all && t.got == t.pass
}

// tagged returns the part of a rule's actions that it is about, given what
// is known of the tag. Uploading blobs and untagged manifests comes before a
// tag and belongs to any right to push.
func (e *evaluation) tagged(r *Rule, f *facts, t *tally, gain Action) Action {
	deny := r.Kind == RuleDeny
	switch {
	case f.issue && deny:
		return gain &^ tagged
	case f.issue:
		return gain
	case e.state == tagKnown && matchTags(r.Tags, e.tag):
		return gain
	case e.state == tagKnown:
		return gain &^ tagged
	}
	if gain&Delete != 0 && e.state == tagUnknown {
		t.unclear = r
	}
	if deny {
		return gain &^ tagged
	}
	return gain &^ Delete
}

// conditional returns the part of a rule's actions for which its conditions
// hold.
func conditional(r *Rule, f *facts, gain Action) Action {
	deny := r.Kind == RuleDeny
	if w := r.conditions.when; w == nil || !w.perAction {
		if r.conditions.hold(f, gain).applies(deny) {
			return gain
		}
		return 0
	}
	var kept Action
	for a := Pull; a <= Manage; a <<= 1 {
		if gain&a != 0 && r.conditions.hold(f, a).applies(deny) {
			kept |= a
		}
	}
	return kept
}

// shadow returns the rules that would have changed the decision.
func (e *evaluation) shadow(f *facts, allowed, refused bool) []*Rule {
	t := tally{pass: f.want, collect: true}
	for _, at := range e.places {
		e.visit(&at.shadow, f, &t)
		if len(e.unread) > 0 {
			e.visitUnread(&at.shadow, f, &t)
		}
	}
	var found []*Rule
	for _, r := range t.rules {
		denies := r.Kind == RuleDeny
		changes := allowed && denies || !allowed && !denies && !refused
		if changes && !slices.Contains(found, r) {
			found = append(found, r)
		}
	}
	return found
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
