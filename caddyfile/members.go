package caddyfile

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Method is implemented by the Caddy modules of authenticators that hold one
// which is not the module itself.
type Method interface {
	// Member returns the authenticator and its facts, after Provision.
	Member() authn.Member
}

// Members returns the authenticators of a realm, which are the guest modules
// that were loaded for it. Two that would get in each other's way are an error.
func Members(modules []any) ([]authn.Member, error) {
	list := make([]authn.Member, 0, len(modules))
	for _, m := range modules {
		module, isModule := m.(caddy.Module)
		method, isMethod := m.(Method)
		a, isAuthenticator := m.(authn.Authenticator)
		switch {
		case isMethod:
			list = append(list, method.Member())
		case isModule && isAuthenticator:
			list = append(list, authn.NewMember(module.CaddyModule().ID.Name(), a))
		default:
			return nil, fmt.Errorf("%T is not an authenticator", m)
		}
	}
	return list, authn.CheckMembers(list)
}
