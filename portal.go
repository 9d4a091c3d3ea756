package registryauth

import (
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
)

// signInProviders are those where people can sign in with the browser.
func (r *realm) signInProviders() []*authn.OIDC {
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
func (r *realm) signsInWith() func(issuer string) bool {
	issuers := map[string]bool{}
	for _, p := range r.signInProviders() {
		issuers[p.Config().IdentityIssuer()] = true
	}
	return func(issuer string) bool { return issuers[issuer] }
}

// hasPortal reports whether the realm has pages: as its configuration says, or
// because there is somebody whom people can sign in with.
func (r *realm) hasPortal() bool {
	switch r.config.Portal.Switch {
	case authn.SwitchOn:
		return true
	case authn.SwitchOff:
		return false
	}
	return len(r.signInProviders()) > 0
}

// isPortal reports whether a path is one of the pages.
func (r *realm) isPortal(path string) bool {
	return r.portalPrefix != "" && (strings.HasPrefix(path, r.portalPrefix) || path+"/" == r.portalPrefix)
}

// openPortal makes the pages, and the authenticator of their sessions.
func (r *realm) openPortal(run *running) ([]authn.Member, error) {
	if r.portalPrefix == "" {
		return nil, nil
	}
	sessions := portal.NewSessions(portal.SessionOptions{
		Knows: r.signsInWith(), Admits: func(p *authn.Principal) error { return run.chain.CheckNames(p) }, Sealer: run.sealer, State: run.state, Policy: r.policy.load, Config: r.config.Portal, PublicURL: r.publicURL, Log: r.slog,
	})
	var err error
	run.portal, err = portal.New(portal.Options{
		Manager: run.manager, Config: r.config.Portal, Sessions: sessions, State: run.state, Policy: r.policy.load, Providers: r.signInProviders(),
		Logins: run.logins, Service: r.service,
		PublicURL: r.publicURL, Base: requestBase, Remote: clientAddr, RequestID: requestID, Log: r.slog,
	})
	return []authn.Member{authn.NewMember(portal.SessionsName, sessions)}, err
}
