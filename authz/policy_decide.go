package authz

import (
	"net/netip"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// writes are the actions that read-only mode refuses.
const writes = Push | Overwrite | Delete

// Resolve prepares a principal for many decisions. The result is good for
// this policy only.
func (p *Policy) Resolve(principal *authn.Principal) *Subject {
	return &Subject{
		policy: p, principal: principal,
		ids: p.subjects.resolve(principal, nil), unread: p.subjects.unread(principal),
	}
}

// Decide answers whether a principal may do what the query asks.
//
// In this order: the credential's limits bound everything; read-only mode
// refuses what writes; administrators may do the rest; deny rules win over
// grants, which add up; then tags that exist are protected.
func (p *Policy) Decide(principal *authn.Principal, q *Query) Decision {
	var buf [32]subjectID
	return p.decide(principal, p.subjects.resolve(principal, buf[:0]), p.subjects.unread(principal), q)
}

// DecideFor is Decide for a principal that was resolved before. A subject
// of another policy is resolved again.
func (p *Policy) DecideFor(s *Subject, q *Query) Decision {
	if s.policy != p {
		return p.Decide(s.principal, q)
	}
	return p.decide(s.principal, s.ids, s.unread, q)
}

// Allowed returns all actions that a principal may do to a repository, for a
// token. The query's action and tags do not count, and rules that depend on
// what only the request will tell count as far as they may allow something:
// each use of the token is decided again.
func (p *Policy) Allowed(principal *authn.Principal, q *Query) Action {
	if !q.valid() {
		return 0
	}
	var ids [32]subjectID
	var places [16]*place
	f := facts{principal: principal, query: *q, want: AllActions, issue: true}
	e := evaluation{
		ids: p.subjects.resolve(principal, ids[:0]), unread: p.subjects.unread(principal),
		places: p.places(principal, q, places[:0]),
	}
	admin := e.admin(p, &f)
	r := e.rights(p, &f, &admin, AllActions)
	if frozen(p, e.places, admin.override) != nil || e.foreign(p, &f, &admin) != nil {
		r.have &^= writes
	}
	return limit(principal, resourceType(q.Type), q.Repository, r.have)
}

// valid reports whether the query is about something that there can be.
func (q *Query) valid() bool {
	switch resourceType(q.Type) {
	case TypeRepository:
		return validRepository(q.Repository)
	case TypeRegistry:
		return q.Repository == CatalogName
	}
	return false
}

// places appends the places that a query is about; the catalog is none.
func (p *Policy) places(principal *authn.Principal, q *Query, buf []*place) []*place {
	if resourceType(q.Type) != TypeRepository {
		return nil
	}
	return p.index.match(q.Repository, principal, buf)
}

func (p *Policy) decide(principal *authn.Principal, ids, unread []subjectID, q *Query) Decision {
	d := Decision{principal: principal, repository: q.Repository, tag: q.Tag, Missing: q.Action}
	if q.Action == 0 || !q.valid() {
		return d
	}
	open := limit(principal, resourceType(q.Type), q.Repository, q.Action)
	if p.stale(principal) {
		open = 0
	}
	if open != q.Action {
		d.Missing, d.Rule = q.Action&^open, limitRule
		return d
	}
	var buf [16]*place
	f := facts{principal: principal, query: *q, want: q.Action}
	e := evaluation{ids: ids, unread: unread, places: p.places(principal, q, buf[:0])}
	admin := e.admin(p, &f)
	if r := frozen(p, e.places, admin.override); r != nil && q.Action&writes != 0 {
		d.Missing, d.Rule = q.Action&writes, r
		return d
	}
	if r := e.foreign(p, &f, &admin); r != nil {
		d.Missing, d.Rule = q.Action&writes, r
		return d
	}
	v := e.each(p, &f, &admin)
	d.Allowed, d.Rule, d.Missing, d.Ask, d.unread = v.missing == 0, v.rule, v.missing, v.ask, v.unread
	if v.tag != "" {
		d.tag = v.tag
	}
	if p.shadows && !admin.got.Has(q.Action) {
		d.Shadow = e.shadow(&f, d.Allowed, d.Rule != nil)
	}
	return d
}

// frozen returns the rule that makes a repository read-only, if any.
func frozen(p *Policy, places []*place, above override) *Rule {
	if above&aboveReadOnly != 0 {
		return nil
	}
	if p.readOnly != nil {
		return p.readOnly
	}
	for _, at := range places {
		if at.readOnly != nil {
			return at.readOnly
		}
	}
	return nil
}

// verdict is the decision about one tag.
type verdict struct {
	rule    *Rule
	unread  bool // of rule: the credential does not say whether it holds
	missing Action
	ask     Ask
	tag     string
}

// each decides for every tag that the query names, or once if it names none,
// and returns the first refusal.
func (e *evaluation) each(p *Policy, f *facts, admin *tally) verdict {
	q := &f.query
	if q.Tag == "" && len(q.Tags) == 0 {
		e.state, e.tag = tagNone, ""
		if q.Tags == nil && q.Action&Delete != 0 {
			e.state = tagUnknown
		}
		return e.one(p, f, admin)
	}
	e.state = tagKnown
	var v verdict
	if e.tag = q.Tag; q.Tag != "" {
		v = e.one(p, f, admin)
	}
	for _, tag := range q.Tags {
		if v.missing != 0 {
			break
		}
		e.tag = tag
		v = e.one(p, f, admin)
		v.tag = tag
	}
	return v
}

// one decides for one tag.
func (e *evaluation) one(p *Policy, f *facts, admin *tally) verdict {
	want := f.want
	if e.state == tagKnown && want.Has(Push) && !f.query.Absent {
		want |= Overwrite // if the tag exists, to be found out
	}
	r := e.rights(p, f, admin, want)
	v := verdict{rule: r.by, missing: want &^ r.have}
	if v.missing == 0 {
		return e.protect(v, f, want, admin.override)
	}
	switch asked := v.missing & f.want; {
	case asked == 0:
		v.ask = AskAbsent
	case r.unclear && asked == Delete:
		v.ask, v.missing = AskTags, asked
	default:
		v.missing = asked
	}
	v.rule = nil
	if r.denied&v.missing != 0 {
		v.rule, v.unread = r.denier, r.unread
	}
	return v
}

// protect refuses to move or delete an immutable tag.
func (e *evaluation) protect(v verdict, f *facts, want Action, above override) verdict {
	touches := want & (Overwrite | Delete)
	if touches == 0 || above&aboveImmutable != 0 {
		return v
	}
	var r *Rule
	switch e.state {
	case tagKnown:
		r = immutable(e.places, e.tag)
	case tagUnknown:
		r = anyImmutable(e.places)
	case tagNone:
	}
	if r == nil {
		return v
	}
	v.rule, v.missing = r, touches
	switch {
	case e.state == tagUnknown:
		v.ask = AskTags
	case f.want&touches == 0:
		v.ask = AskAbsent
	}
	return v
}

// Query is what somebody wants to do.
type Query struct {
	// Type is "repository" (also if empty) or "registry", whose only name
	// is "catalog". A class, as in "repository(plugin)", changes nothing.
	Type       string
	Repository string

	// Action is what is asked for; all of it must be allowed.
	Action Action

	// Tag and Tags are the tags that a manifest is pushed, pulled or deleted
	// by. For a deletion by digest, Tags are those that point at the digest
	// as the upstream says: nil is unknown, empty is none. See [Decision.Ask].
	Tag    string
	Tags   []string
	Digest string

	// Absent says that the upstream has none of the tags yet.
	Absent bool

	// Remote is the client's address, as the server determined it.
	Remote    netip.Addr
	UserAgent string
	Method    string

	// Time is when; zero is now.
	Time time.Time
}

// Ask is a question to the upstream on which a decision depends. Until it is
// answered the decision is a refusal.
type Ask uint8

// The questions.
const (
	// AskNothing: the decision is final.
	AskNothing Ask = iota
	// AskAbsent: whether the tags of the query exist. If none does, ask the
	// policy again with Query.Absent; if one does, the refusal stands.
	AskAbsent
	// AskTags: which tags point at the digest. Ask the policy again with
	// them as Query.Tags, empty but not nil if there are none.
	AskTags
)

// Decision is the answer to a query.
type Decision struct {
	Allowed bool

	// Rule is what decided; nil if no rule gives what was asked.
	Rule *Rule

	// Missing are the actions that were asked for and not given.
	Missing Action

	// Ask is what must be found out upstream before this refusal is final.
	Ask Ask

	// Shadow are the rules that would have changed the decision if they
	// were enforced.
	Shadow []*Rule

	principal  *authn.Principal
	unread     bool // Rule holds because the credential does not say whether it does
	repository string
	tag        string
}

// Reason says in one line why, for logs: "project team-a/** developer
// group:team-a (Caddyfile:12)" or "nothing grants push on team-b/app to
// user:alice".
func (d *Decision) Reason() string {
	what := d.Missing.String() + " on " + d.repository
	if d.tag != "" {
		what += ":" + d.tag
	}
	switch {
	case d.Allowed && d.Rule != nil:
		return d.Rule.where()
	case d.Allowed:
		return "nothing was asked for"
	case d.Rule == nil:
		return "nothing grants " + what + " to " + d.principal.String()
	case d.Rule.Kind == RuleLimit:
		return "the credential of " + d.principal.String() + " is not good for " + what
	}
	reason := what + " refused by " + d.Rule.where()
	if d.unread {
		reason += unreadReason
	}
	return reason
}

// Limited reports whether the refusal is due to the credential's limits, not
// to the principal's rights: a new token with the right scope may help.
func (d *Decision) Limited() bool { return !d.Allowed && d.Rule == limitRule }

// ShadowReason names the rules in Shadow and what they would have done.
func (d *Decision) ShadowReason() string {
	var b strings.Builder
	for i, r := range d.Shadow {
		if i > 0 {
			b.WriteString("; ")
		}
		if r.Kind == RuleDeny {
			b.WriteString("would deny: ")
		} else {
			b.WriteString("would allow: ")
		}
		b.WriteString(r.where())
	}
	return b.String()
}

var (
	limitRule   = &Rule{Kind: RuleLimit}
	catalogRule = &Rule{Kind: RuleCatalog}
)
