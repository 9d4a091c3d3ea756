package registryauth

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// nameAuthenticators gives every authenticator a name that is unique in the
// realm and stable over restarts: registry tokens carry it.
func nameAuthenticators(modules []any) ([]authn.Named, error) {
	seen := map[string]bool{}
	prefixes := map[string]string{}  // of user names, by provider
	issuers := map[string]string{}   // by issuer of tokens
	known := map[string]string{}     // by issuer that users are known by
	workloads := map[string]string{} // by workload
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
			if other, taken := prefixes[p.NamePrefix()]; taken {
				return nil, fmt.Errorf("%s and %s would both call their users by plain names: give one of them a `prefix`, or a user of the one could take a name of the other", other, name)
			}
			prefixes[p.NamePrefix()] = name
		}
		if i, ok := m.(interface{ TokenIssuer() string }); ok {
			if other, taken := issuers[i.TokenIssuer()]; taken {
				return nil, fmt.Errorf("%s and %s are for tokens of the same issuer, and each would refuse those of the other: keep one of them", other, name)
			}
			issuers[i.TokenIssuer()] = name
		}
		if i, ok := m.(interface{ IdentityIssuer() string }); ok {
			if other, taken := known[i.IdentityIssuer()]; taken {
				return nil, fmt.Errorf("%s and %s have users of the same issuer %s: a subject_alias is for a provider that is gone", other, name, i.IdentityIssuer())
			}
			known[i.IdentityIssuer()] = name
		}
		if w, ok := m.(interface{ WorkloadNames() []string }); ok {
			for _, workload := range w.WorkloadNames() {
				if other, taken := workloads[workload]; taken {
					return nil, fmt.Errorf("%s and %s both have a workload %q: rules could not tell them apart", other, name, workload)
				}
				workloads[workload] = name
			}
		}
		list = append(list, authn.Named{Name: name, Authenticator: a})
	}
	return list, nil
}
