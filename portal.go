package registryauth

import (
	"context"
	"fmt"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// signInProviders are those where people can sign in with the browser.
func (r *realm) signInProviders() []*authn.OIDC {
	var list []*authn.OIDC
	for _, a := range r.authenticators {
		if o, ok := a.Authenticator.(*OIDC); ok && o.SignsIn() {
			list = append(list, o.provider.OIDC)
		}
	}
	return list
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
func (r *realm) openPortal(ctx context.Context, run *running) ([]authn.Named, error) {
	if r.portalPrefix == "" {
		return nil, nil
	}
	var err error
	if run.sealer, err = run.state.NewSealer(ctx, state.SealerConfig{}); err != nil {
		return nil, fmt.Errorf("opening the data keys: %w", err)
	}
	sessions := portal.NewSessions(portal.SessionOptions{
		Sealer: run.sealer, State: run.state, Policy: r.policy.load, Config: r.config.Portal, PublicURL: r.publicURL, Log: r.slog,
	})
	manager, err := r.newManager(run)
	if err != nil {
		return nil, err
	}
	run.portal, err = portal.New(portal.Options{
		Manager: manager, Config: r.config.Portal, Sessions: sessions, State: run.state, Policy: r.policy.load, Providers: r.signInProviders(),
		Logins: run.logins, Service: r.service,
		PublicURL: r.publicURL, Base: requestBase, Remote: clientAddr, RequestID: requestID, Log: r.slog,
	})
	return []authn.Named{{Name: portal.SessionsName, Authenticator: sessions}}, err
}

// newManager makes the operations that the pages call.
func (r *realm) newManager(run *running) (*management.Manager, error) {
	declared := management.Declared{Roles: r.config.Policy.Roles}
	for _, p := range r.config.Policy.Projects {
		declared.Projects = append(declared.Projects, management.DeclaredProject{Project: p})
	}
	for _, a := range r.authenticators {
		robots, ok := a.Authenticator.(*Robots)
		if !ok {
			continue
		}
		for _, robot := range robots.resolved {
			declared.Robots = append(declared.Robots, management.DeclaredRobot{RobotConfig: robot})
		}
	}
	return management.New(management.Options{
		State: run.state, Policy: r.policy.load, Declared: declared, RobotPrefixes: r.config.RobotPrefixes, Pool: hashing, Log: r.slog,
		Keys: func() management.SigningKeys { return run.keys },
	})
}
