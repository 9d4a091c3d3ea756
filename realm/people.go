package realm

import (
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
)

// signInProviders are those where people can sign in with the browser.
func (r *Realm) signInProviders() []*authn.OIDC {
	var list []*authn.OIDC
	for _, a := range r.authenticators {
		if s, ok := a.Authenticator.(signInProvider); ok {
			if provider := s.SignInProvider(); provider != nil {
				list = append(list, provider)
			}
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

// hasPortal reports whether the realm has pages: as its configuration says, or
// because there is somebody whom people can sign in with.
func (r *Realm) hasPortal() bool {
	switch r.config.Portal.Switch {
	case authn.SwitchOn:
		return true
	case authn.SwitchOff:
		return false
	}
	return len(r.signInProviders()) > 0
}

// openPortal makes the pages, and the authenticator of their sessions.
func (r *Realm) openPortal(run *Running) ([]authn.Named, error) {
	if r.portalPrefix == "" {
		return nil, nil
	}
	sessions := portal.NewSessions(portal.SessionOptions{
		Knows: r.signsInWith(), Sealer: run.sealer, State: run.state, Policy: r.policy.load, Config: r.config.Portal, PublicURL: r.names.PublicURL, Log: r.slog,
	})
	var err error
	run.portal, err = portal.New(portal.Options{
		Manager: run.manager, Config: r.config.Portal, Sessions: sessions, State: run.state, Policy: r.policy.load, Providers: r.signInProviders(),
		Logins: run.logins, Service: r.names.Service,
		PublicURL: r.names.PublicURL, Base: gateway.RequestBase, Remote: gateway.ClientAddr, RequestID: gateway.RequestID, Log: r.slog,
	})
	return []authn.Named{{Name: portal.SessionsName, Authenticator: sessions}}, err
}
