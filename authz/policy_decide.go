package authz

import "github.com/caddy-registry-auth/caddy-registry-auth/authn"

// writes are the actions that read-only mode refuses.
const writes = Push | Overwrite | Delete

// Resolve prepares a principal for many decisions. The result is good for
// this policy only.
func (p *Policy) Resolve(principal *authn.Principal) *Subject {
	return &Subject{policy: p, principal: principal, ids: p.subjects.resolve(principal, nil)}
}

// Decide answers whether a principal may do what the query asks.
//
// In this order: the credential's limits bound everything; read-only mode
// refuses what writes; administrators may do the rest; deny rules win over
// grants, which add up; then tags that exist are protected.
func (p *Policy) Decide(principal *authn.Principal, q *Query) Decision {
	var buf [32]subjectID
	s := Subject{policy: p, principal: principal, ids: p.subjects.resolve(principal, buf[:0])}
	return p.decide(&s, q)
}

// DecideFor is Decide for a principal that was resolved before. A subject
// of another policy is resolved again.
func (p *Policy) DecideFor(s *Subject, q *Query) Decision {
	if s.policy != p {
		return p.Decide(s.principal, q)
	}
	return p.decide(s, q)
}

// Allowed returns all actions that a principal may do to a repository, for a
// token. The query's action and tags do not count, and rules that depend on
// what only the request will tell count as far as they may allow something:
// each use of the token is decided again.
func (p *Policy) Allowed(principal *authn.Principal, q *Query) Action {
	var buf [32]subjectID
	s := Subject{policy: p, principal: principal, ids: p.subjects.resolve(principal, buf[:0])}
	e := evaluation{policy: p, subject: &s, query: q, want: AllActions, issue: true}
	var places [16]*place
	if !e.locate(places[:0]) {
		return 0
	}
	have := e.rights(tagNone, "", AllActions)
	if e.frozen() != nil {
		have &^= writes
	}
	return limit(principal, resourceType(q.Type), q.Repository, have)
}

func (p *Policy) decide(s *Subject, q *Query) Decision {
	e := evaluation{policy: p, subject: s, query: q, want: q.Action}
	var places [16]*place
	d := Decision{principal: s.principal, repository: q.Repository, tag: q.Tag, Missing: q.Action}
	if q.Action == 0 || !e.locate(places[:0]) {
		return d
	}
	open := limit(s.principal, resourceType(q.Type), q.Repository, q.Action)
	if open != q.Action {
		d.Missing, d.Rule = q.Action&^open, limitRule
		return d
	}
	if r := e.frozen(); r != nil && q.Action&writes != 0 {
		d.Missing, d.Rule = q.Action&writes, r
		return d
	}
	e.each(&d)
	d.Allowed = d.Missing == 0
	if p.shadows && e.admin == nil {
		e.shadow(&d)
	}
	return d
}

// each decides for every tag that the query names, or once if it names none.
func (e *evaluation) each(d *Decision) {
	q := e.query
	if q.Tag == "" && len(q.Tags) == 0 {
		state := tagNone
		if q.Tags == nil && q.Action&Delete != 0 {
			state = tagUnknown
		}
		e.one(d, state, "")
		return
	}
	if q.Tag != "" {
		if e.one(d, tagKnown, q.Tag); d.Missing != 0 {
			return
		}
	}
	for _, tag := range q.Tags {
		d.tag = tag
		if e.one(d, tagKnown, tag); d.Missing != 0 {
			return
		}
	}
}

// one decides for one tag and fills in what is missing, and why.
func (e *evaluation) one(d *Decision, state tagState, tag string) {
	want := e.want
	if state == tagKnown && want.Has(Push) && !e.query.Absent {
		want |= Overwrite // if the tag exists, to be found out
	}
	have := e.rights(state, tag, want)
	d.Rule, d.Missing = e.by, want&^have
	if d.Missing != 0 {
		d.Rule = nil
		if e.denied&d.Missing != 0 {
			d.Rule = e.denier
		}
		switch {
		case e.want&d.Missing == 0:
			d.Ask = AskAbsent
		case e.unclear:
			d.Ask = AskTags
		}
		return
	}
	e.protect(d, state, tag, want)
}

// protect refuses to move or delete an immutable tag.
func (e *evaluation) protect(d *Decision, state tagState, tag string, want Action) {
	touches := want & (Overwrite | Delete)
	if touches == 0 || e.override&aboveImmutable != 0 {
		return
	}
	var r *Rule
	switch state {
	case tagKnown:
		r = immutable(e.places, tag)
	case tagUnknown:
		r = anyImmutable(e.places)
	case tagNone:
	}
	if r == nil {
		return
	}
	d.Rule, d.Missing = r, touches
	switch {
	case state == tagUnknown:
		d.Ask = AskTags
	case e.want&touches == 0:
		d.Ask = AskAbsent
	}
}
