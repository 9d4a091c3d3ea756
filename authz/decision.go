package authz

import (
	"net/netip"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

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
