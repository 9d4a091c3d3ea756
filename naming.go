package registryauth

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// nameAuthenticators gives every authenticator a name that is unique in the
// realm and stable over restarts: registry tokens carry it. Two that would
// get in each other's way are an error.
func nameAuthenticators(modules []any) ([]authn.Named, error) {
	taken := newSharedOnce()
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
		// Before the name, which for some is made of the prefix.
		for _, check := range []func(any, string) error{taken.prefix, taken.name, taken.issuer, taken.identities, taken.workloads, taken.robots, taken.clients} {
			if err := check(m, name); err != nil {
				return nil, err
			}
		}
		list = append(list, authn.Named{Name: name, Authenticator: a})
	}
	if err := errors.Join(taken.workloadsAgainstServices(), taken.usersAgainstRobots()); err != nil {
		return nil, err
	}
	return list, taken.clientsAgainstWorkloads()
}
