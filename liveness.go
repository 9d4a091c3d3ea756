package registryauth

import (
	"context"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// watchUsers asks, in the background, the providers where people sign in, and
// directories, whether they are still there.
func (r *realm) watchUsers(ctx context.Context, run *running) {
	o := state.LivenessOptions{
		Sealer: run.sealer, Log: r.slog,
		Relevant: func(p *authn.Principal) *authn.Principal { return r.policy.load().Relevant(p) },
		Count:    r.countRechecks(),
	}
	for _, provider := range r.signInProviders() {
		c := provider.Config()
		v := state.Vouching{Issuer: c.IdentityIssuer(), Provider: provider}
		v.Every, v.Grace, v.MaxAge = c.Rechecks()
		o.Providers = append(o.Providers, v)
	}
	for _, a := range r.authenticators {
		if v, ok := state.VouchingFor(a.Name, unwrapped(a.Authenticator)); ok {
			o.Providers = append(o.Providers, v)
		}
	}
	live := run.state.NewLiveness(o)
	go live.Run(ctx)
}

// countRechecks makes the counters of the outcomes, so that each is there
// before it happens first.
func (r *realm) countRechecks() func(state.LivenessOutcome) {
	for _, o := range state.LivenessOutcomes {
		rechecksTotal.WithLabelValues(r.name, string(o))
	}
	return func(o state.LivenessOutcome) { rechecksTotal.WithLabelValues(r.name, string(o)).Inc() }
}

// unwrapped is the authenticator of a module that has users of its own.
func unwrapped(a authn.Authenticator) authn.Authenticator {
	switch a := a.(type) {
	case *LDAP:
		return a.directory.LDAP
	case *Htpasswd:
		return a.users.Htpasswd
	case *Local:
		return a.users
	case *MTLS:
		return a.MTLS
	case *External:
		return a.External
	case *TrustedHeaders:
		return a.TrustedHeaders
	}
	return a
}
