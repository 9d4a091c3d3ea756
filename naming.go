package registryauth

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// nameAuthenticators gives every authenticator a name that is unique in the
// realm and stable over restarts: registry tokens carry it. Two that would
// get in each other's way are an error.
func nameAuthenticators(modules []any) ([]authn.Named, error) {
	taken := sharedOnce{}
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
		for _, check := range []func(any, string) error{taken.prefix, taken.name, taken.issuer, taken.identities, taken.workloads} {
			if err := check(m, name); err != nil {
				return nil, err
			}
		}
		list = append(list, authn.Named{Name: name, Authenticator: a})
	}
	return list, nil
}

// sharedOnce remembers what authenticators of a realm cannot share, and which
// of them has it.
type sharedOnce map[string]string

// by notes that name has a thing, and returns who else has.
func (s sharedOnce) by(name, kind, thing string) (other string, taken bool) {
	key := kind + " " + thing
	if other, taken = s[key]; !taken {
		s[key] = name
	}
	return other, taken
}

func (s sharedOnce) name(_ any, name string) error {
	if _, taken := s.by(name, "name", name); taken {
		return fmt.Errorf("authenticator %q is configured twice", name)
	}
	return nil
}

// prefix keeps the names of users apart.
func (s sharedOnce) prefix(m any, name string) error {
	p, ok := m.(authn.Prefixed)
	if !ok {
		return nil
	}
	prefix := p.NamePrefix()
	other, taken := s.by(name, "prefix", prefix)
	switch {
	case taken && prefix == "":
		return fmt.Errorf("%s and %s would both call their users by plain names: give one of them a `prefix`, or a user of the one could take a name of the other", other, name)
	case taken:
		return fmt.Errorf("%s and %s have the same prefix %q: a user of the one could take a name of the other", other, name, prefix)
	}
	return nil
}

// issuer sends a token to one authenticator.
func (s sharedOnce) issuer(m any, name string) error {
	i, ok := m.(interface{ TokenIssuer() string })
	if !ok {
		return nil
	}
	if other, taken := s.by(name, "issuer", i.TokenIssuer()); taken {
		return fmt.Errorf("%s and %s are for tokens of the same issuer, and each would refuse those of the other: keep one of them", other, name)
	}
	return nil
}

// identities keeps the users of a provider from being those of another that it
// claims to have followed.
func (s sharedOnce) identities(m any, name string) error {
	i, ok := m.(interface{ IdentityIssuer() string })
	if !ok {
		return nil
	}
	if other, taken := s.by(name, "identity", i.IdentityIssuer()); taken {
		return fmt.Errorf("%s and %s have users of the same issuer %s: a subject_alias is for a provider that is gone", other, name, i.IdentityIssuer())
	}
	return nil
}

// workloads keeps the names of workloads apart.
func (s sharedOnce) workloads(m any, name string) error {
	w, ok := m.(interface{ WorkloadNames() []string })
	if !ok {
		return nil
	}
	for _, workload := range w.WorkloadNames() {
		if other, taken := s.by(name, "workload", workload); taken {
			return fmt.Errorf("%s and %s both have a workload %q: rules could not tell them apart", other, name, workload)
		}
	}
	return nil
}
