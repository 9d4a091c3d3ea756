package registryauth

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// nameAuthenticators gives every authenticator a name that is unique in the
// realm and stable over restarts: registry tokens carry it.
func nameAuthenticators(modules []any) ([]authn.Named, error) {
	seen := map[string]bool{}
	prefixes := map[string]nameOwner{} // of user names
	issuers := map[string]string{}     // by issuer of tokens
	workloads := map[string]string{}   // by workload
	clients := map[string]string{}     // of names of workloads that are not listed, by prefix
	list := make([]authn.Named, 0, len(modules))
	for _, m := range modules {
		a, isAuthenticator := m.(authn.Authenticator)
		module, isModule := m.(caddy.Module)
		if !isAuthenticator || !isModule {
			return nil, fmt.Errorf("%T is not an authenticator", m)
		}
		name := module.CaddyModule().ID.Name()
		if n, ok := m.(interface{ AuthenticatorName() string }); ok {
			name = n.AuthenticatorName()
		}
		if seen[name] {
			return nil, fmt.Errorf("authenticator %q is configured twice", name)
		}
		seen[name] = true
		if p, ok := m.(interface{ NamePrefix() string }); ok {
			owner := nameOwner{authenticator: name}
			if s, ok := m.(interface {
				NameSource() (issuer, claim string)
			}); ok {
				owner.issuer, owner.claim = s.NameSource()
			}
			other, taken := prefixes[p.NamePrefix()]
			if taken && !owner.same(other) {
				return nil, fmt.Errorf("%s and %s would both call their users by plain names: give one of them a `prefix`, or a user of the one could take a name of the other", other.authenticator, name)
			}
			if !taken || other.claim == "" {
				prefixes[p.NamePrefix()] = owner
			}
		}
		if i, ok := m.(interface{ TokenIssuer() string }); ok {
			if other, taken := issuers[i.TokenIssuer()]; taken {
				return nil, fmt.Errorf("%s and %s are for tokens of the same issuer, and each would refuse those of the other: keep one of them", other, name)
			}
			issuers[i.TokenIssuer()] = name
		}
		if w, ok := m.(interface{ WorkloadNames() []string }); ok {
			for _, workload := range w.WorkloadNames() {
				if other, taken := workloads[workload]; taken {
					return nil, fmt.Errorf("%s and %s both have a workload %q: rules could not tell them apart", other, name, workload)
				}
				workloads[workload] = name
			}
		}
		if w, ok := m.(interface{ WorkloadPrefix() (string, bool) }); ok {
			if prefix, on := w.WorkloadPrefix(); on {
				if other, taken := clients[prefix]; taken {
					return nil, fmt.Errorf("%s and %s would both call their clients by plain names: give one of them a `prefix`", other, name)
				}
				clients[prefix] = name
			}
		}
		list = append(list, authn.Named{Name: name, Authenticator: a})
	}
	for prefix, name := range clients {
		for workload, other := range workloads {
			if strings.HasPrefix(workload, prefix) {
				return nil, fmt.Errorf("a client of %s could take the name of workload %q of %s: give %[1]s a `prefix` of its own", name, workload, other)
			}
		}
	}
	return list, nil
}

// nameOwner is whose names have a prefix: those in a claim of an issuer. The
// claim is empty where there are no people.
type nameOwner struct{ authenticator, issuer, claim string }

// same reports whether two call the same people by the same names.
func (o nameOwner) same(other nameOwner) bool {
	return o.issuer != "" && o.issuer == other.issuer && (o.claim == other.claim || o.claim == "" || other.claim == "")
}

// userClaim is the claim with the user name, or its default.
func userClaim(configured string) string {
	if configured == "" {
		return "preferred_username"
	}
	return configured
}
