package realm

import (
	"context"
	"maps"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// signInProviders are those where people can sign in with the browser.
func (r *Realm) signInProviders() []*authn.OIDC {
	var list []*authn.OIDC
	for _, a := range r.authenticators {
		if o, ok := a.Authenticator.(*authn.OIDC); ok && o.Config().SignsIn() {
			list = append(list, o)
		}
	}
	return list
}

// signsInWith returns whether one of them has users of an issuer. It is asked
// by every request with a session.
func (r *Realm) signsInWith() func(issuer string) bool {
	issuers := map[string]bool{}
	for _, p := range r.signInProviders() {
		issuers[p.Config().IdentityIssuer()] = true
	}
	return func(issuer string) bool { return issuers[issuer] }
}

// HasPortal reports whether the realm has pages: as its configuration says, or
// because there is somebody whom people can sign in with.
func (r *Realm) HasPortal() bool {
	switch r.config.Portal.Switch {
	case authn.SwitchOn:
		return true
	case authn.SwitchOff:
		return false
	}
	return len(r.signInProviders()) > 0
}

// openPortal makes the pages, and the authenticator of their sessions.
func (r *Realm) openPortal(run *Running) ([]authn.Member, error) {
	if r.portalPrefix == "" {
		return nil, nil
	}
	sessions := portal.NewSessions(portal.SessionOptions{
		Knows: r.signsInWith(), Admits: func(p *authn.Principal) error { return run.Front.Chain.CheckNames(p) }, Sealer: run.sealer, State: run.state, Policy: r.policy.load, Config: r.config.Portal, PublicURL: r.names.PublicURL, Log: r.slog,
	})
	var err error
	run.portal, err = portal.New(portal.Options{
		Manager: run.manager, Config: r.config.Portal, Sessions: sessions, State: run.state, Policy: r.policy.load, Providers: r.signInProviders(),
		Logins: run.logins, Service: r.names.Service,
		PublicURL: r.names.PublicURL, Base: gateway.RequestBase, Remote: gateway.ClientAddr, RequestID: gateway.RequestID, Log: r.slog,
	})
	return []authn.Member{authn.NewMember(portal.SessionsName, sessions)}, err
}

// watchUsers asks, in the background, the providers where people sign in, and
// directories, whether they are still there.
func (r *Realm) watchUsers(ctx context.Context, run *Running) {
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
		if v, ok := state.VouchingFor(a.Name, a.Authenticator); ok {
			o.Providers = append(o.Providers, v)
		}
	}
	live := run.state.NewLiveness(o)
	go live.Run(ctx)
}

// countRechecks makes the counters of the outcomes, so that each is there
// before it happens first.
func (r *Realm) countRechecks() func(state.LivenessOutcome) {
	for _, o := range state.LivenessOutcomes {
		rechecksTotal.WithLabelValues(r.name, string(o))
	}
	return func(o state.LivenessOutcome) { rechecksTotal.WithLabelValues(r.name, string(o)).Inc() }
}

// used notes who has shown a good credential, and which. Registry tokens are
// left out: what they were got with was noted then, and a pull costs nothing.
func (run *Running) used(r *http.Request, p *authn.Principal) {
	if p.IsAnonymous() || p.Credential == authn.CredentialRegistryToken {
		return
	}
	switch {
	case p.Kind == authn.KindRobot && run.state.RobotByName(p.Name) != nil:
		run.state.Used(run.state.Robots.Kind(), p.Name, gateway.ClientAddr(r), r.UserAgent())
	case p.Credential == state.CredentialToken:
		run.state.Used(run.state.Tokens.Kind(), p.CredentialID, gateway.ClientAddr(r), r.UserAgent())
	case p.Authenticator == portal.SessionsName, p.Authenticator == authn.IdentityTokensName:
		// What these know is what was written down.
	case p.Kind == authn.KindUser:
		run.state.Seen(run.known(p))
	}
}

// known returns a user as it is written down: with the claims that rules look
// at and the address, and not those that are other ones in every token.
func (run *Running) known(p *authn.Principal) *authn.Principal {
	known := *p
	known.Claims = run.policy.load().Relevant(p).Claims
	if email, ok := p.Claims["email"]; ok {
		known.Claims = maps.Clone(known.Claims)
		known.Claims["email"] = email
	}
	return &known
}
