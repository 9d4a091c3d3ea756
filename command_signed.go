package registryauth

import (
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// mustBeSigned returns the rule by which a principal may pull only what is
// signed; nil if there is none. Who may push may pull what is not signed yet,
// as at the gateway.
func mustBeSigned(policy *authz.Policy, p *authn.Principal, q *authz.Query) *authz.SignatureRule {
	rules := policy.Signatures(q.Repository)
	if q.Type == authz.TypeRegistry || q.Action&authz.Pull == 0 || len(rules) == 0 {
		return nil
	}
	push := *q
	push.Action, push.Tag, push.Tags, push.Digest = authz.Push, "", []string{}, ""
	if policy.Decide(p, &push).Allowed {
		return nil
	}
	return rules[0]
}

// unsigned returns the rule that refuses a pull because the manifest was said
// to have no signature.
func unsigned(policy *authz.Policy, p *authn.Principal, q *authz.Query, s registryState) *authz.SignatureRule {
	if s.signed == nil || *s.signed {
		return nil
	}
	return mustBeSigned(policy, p, q)
}

// signatureNote says that a pull that is allowed also needs a signature.
func signatureNote(policy *authz.Policy, p *authn.Principal, q *authz.Query, s registryState, d *authz.Decision) string {
	rule := mustBeSigned(policy, p, q)
	if rule == nil || s.signed != nil || !d.Allowed {
		return ""
	}
	return "the manifest must be signed as well: " + signatureRule(rule) + "; say whether it is with --signed or --unsigned"
}

func signatureRule(r *authz.SignatureRule) string { return "require signature" + in(r.Source) }
