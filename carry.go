package registryauth

import (
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// carryingPolicy is the policy for the token endpoint. A registry token carries
// what decisions look at, and here what headers and the audit log say, too.
type carryingPolicy struct {
	*livePolicy
	keep authz.Keep
}

func newCarryingPolicy(r *realm) carryingPolicy {
	keep := r.identity.keep()
	keep.Claims = append(slices.Clone(keep.Claims), r.config.AuditClaims...)
	if r.identity != nil {
		for _, role := range r.identity.roles {
			keep = role.subjects.Needs(keep)
		}
	}
	return carryingPolicy{r.policy, keep}
}

// Relevant returns what of a principal a registry token carries.
func (c carryingPolicy) Relevant(p *authn.Principal) *authn.Principal {
	return c.load().RelevantAnd(p, c.keep)
}
