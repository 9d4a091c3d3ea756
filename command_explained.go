package registryauth

import (
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// The decisions that an answer can have.
const (
	decisionAllow   = "allow"
	decisionDeny    = "deny"
	decisionDepends = "depends" // on what the registry holds
)

// explained is what the commands say about one question. It is the JSON of
// `explain --json`.
type explained struct {
	Decision  string       `json:"decision"`
	Reason    string       `json:"reason"`
	Principal string       `json:"principal"`
	Action    authz.Action `json:"action"`
	Target    string       `json:"target"`

	// Depends is the question to the registry, Cases what its answers lead to.
	Depends string          `json:"depends_on,omitempty"`
	Cases   []explainedCase `json:"cases,omitempty"`

	Rule   *authz.Rule     `json:"rule,omitempty"`
	Rules  []explainedRule `json:"rules"`
	Would  []string        `json:"would_allow,omitempty"`
	Shadow string          `json:"shadow,omitempty"`
	Notes  []string        `json:"notes,omitempty"`

	ask authz.Ask
}

// explainedCase is the decision for one answer of the registry.
type explainedCase struct {
	If       string `json:"if"`
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
}

// explainedRule is a rule that concerns the question.
type explainedRule struct {
	Rule    string `json:"rule"`
	Source  string `json:"source,omitempty"`
	Applies bool   `json:"applies"`
	Why     string `json:"why"`
}

// ask decides what the gateway would decide, and says why.
func (r *loadedRealm) ask(p *authn.Principal, q *authz.Query, state registryState) (*explained, error) {
	if err := state.apply(q); err != nil {
		return nil, err
	}
	policy := r.about(state)
	x := policy.Explain(p, q)
	a := &explained{
		Decision: decisionOf(&x.Decision), Reason: x.Reason(), Principal: p.String(), Action: q.Action, Target: targetText(q),
		Rule: x.Rule, Rules: []explainedRule{}, Would: x.Would, Shadow: x.ShadowReason(),
	}
	for _, o := range x.Rules {
		a.Rules = append(a.Rules, explainedRule{o.Rule.String(), o.Rule.Source, o.Applies, o.Why})
	}
	for _, note := range []string{r.robotNote(p), hostNote(q), r.unknownNote(q, state, &x.Decision), signatureNote(policy, p, q, state, &x.Decision)} {
		if note != "" {
			a.Notes = append(a.Notes, note)
		}
	}
	out, err := r.robots.shutOut(p, q)
	if err != nil {
		return nil, err
	}
	if out != nil {
		if !x.Allowed {
			a.Notes = append(a.Notes, "let in, it would be refused as well: "+a.Reason)
		}
		a.Decision, a.Reason, a.Rule, a.Shadow, a.Would = decisionDeny, out.reason, nil, "", []string{out.would}
		return a, nil
	}
	if question := state.question(&x.Decision, q); question != "" {
		a.Decision, a.Depends, a.ask = decisionDepends, question, x.Ask
		a.Cases = cases(policy, p, *q, &x.Decision)
	}
	if rule := unsigned(policy, p, q, state); x.Allowed && rule != nil {
		a.Decision, a.Rule, a.Shadow = decisionDeny, nil, ""
		a.Reason = "the manifest has no valid signature: " + signatureRule(rule)
		a.Would = []string{"a signature of one of the keys of " + signatureRule(rule), "the right to push, with which a manifest can be signed"}
	}
	return a, nil
}

// cases decides for both answers of the registry. Which tags point at a digest
// has more than two.
func cases(policy *authz.Policy, p *authn.Principal, q authz.Query, refused *authz.Decision) []explainedCase {
	if refused.Ask != authz.AskAbsent {
		return nil
	}
	q.Absent = true
	absent := policy.Decide(p, &q)
	return []explainedCase{
		{"the tag exists", decisionDeny, refused.Reason()},
		{"the tag is new", decisionOf(&absent), absent.Reason()},
	}
}

func decisionOf(d *authz.Decision) string {
	if d.Allowed {
		return decisionAllow
	}
	return decisionDeny
}
