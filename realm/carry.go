package realm

import (
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// carryingPolicy is the policy for the token endpoint. A registry token carries
// what decisions look at, and here what headers and the audit log say, too.
type carryingPolicy struct {
	*livePolicy
	keep authz.Keep
}

func newCarryingPolicy(r *Realm) carryingPolicy {
	return carryingPolicy{r.policy, r.front.Identity.Keep(r.config.AuditClaims)}
}

// Relevant returns what of a principal a registry token carries.
func (c carryingPolicy) Relevant(p *authn.Principal) *authn.Principal {
	return c.load().RelevantAnd(p, c.keep)
}
