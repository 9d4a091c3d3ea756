package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/realm"
)

var (
	errRealmNotReady = errors.New("the realm is not ready")
	errRouteDenied   = errors.New("signed in, and may not")
	errLimited       = errors.New("the access token is good for a part of the registry API only")
)

// identify finds out who sends a request to a route beside the registry API
// and whether they may, and prepares the request for what is behind: it says
// who it comes from in no words but the gateway's.
func (p *Provider) identify(w http.ResponseWriter, r *http.Request) (*authn.Principal, *gateway.RouteRefusal) {
	known, err := p.app.Realm(p.Realm)
	if err != nil {
		return nil, &gateway.RouteRefusal{Status: http.StatusInternalServerError, Err: err}
	}
	run := known.Take(r.Context())
	if run == nil {
		return nil, &gateway.RouteRefusal{Status: http.StatusServiceUnavailable, RetryAfter: realm.RetryAfterStart, Err: errRealmNotReady}
	}
	defer known.Leave()
	front := run.Front
	if err := gateway.AdmitActor(r); err != nil {
		refusal := &gateway.RouteRefusal{Status: gateway.AdmissionStatus(err), Err: err}
		front.Recorder.Route(r, nil, refusal)
		return nil, refusal
	}
	policy := front.Policy()
	principal, refusal := p.admit(front, policy, r)
	front.Cleaning.Route(r)
	front.Recorder.Route(r, principal, refusal)
	if refusal != nil {
		if refusal.Status == http.StatusUnauthorized {
			askForBasic(w, front.Service)
		}
		return nil, refusal
	}
	front.Used(r, principal)
	if p.access != nil {
		gateway.DropOverrides(r.Header)
	}
	front.Identity.Replace(r, principal, policy)
	return principal, nil
}

// admit decides. The principal is who was authenticated, also where they may
// not; nil if nobody was.
func (p *Provider) admit(front *gateway.Front, policy *authz.Policy, r *http.Request) (*authn.Principal, *gateway.RouteRefusal) {
	need, err := p.access.needs(r)
	if err != nil {
		return nil, &gateway.RouteRefusal{Status: http.StatusBadRequest, Err: err}
	}
	principal, err := front.Authenticate(r)
	var throttled *authn.ThrottledError
	switch {
	case errors.As(err, &throttled):
		return nil, &gateway.RouteRefusal{Status: http.StatusTooManyRequests, RetryAfter: throttled.RetryAfter, Err: err}
	case errors.Is(err, authn.ErrBusy):
		return nil, &gateway.RouteRefusal{Status: http.StatusTooManyRequests, RetryAfter: time.Second, Err: err}
	case errors.Is(err, authn.ErrUnavailable):
		return nil, &gateway.RouteRefusal{Status: http.StatusServiceUnavailable, RetryAfter: 5 * time.Second, Err: err}
	case err == nil && principal.Credential == authn.CredentialRegistryToken:
		err = errors.New("a registry token is for the registry API only")
	}
	switch {
	case err != nil:
		return nil, &gateway.RouteRefusal{Status: http.StatusUnauthorized, Err: err}
	case principal.Limits != nil:
		// What is behind would take it for all of its owner.
		return principal, &gateway.RouteRefusal{Status: http.StatusForbidden, Err: errLimited}
	case p.access.allows(principal, need, policy):
		return principal, nil
	case principal.IsAnonymous():
		return principal, &gateway.RouteRefusal{Status: http.StatusUnauthorized, Err: gateway.ErrNotSignedIn}
	}
	return principal, &gateway.RouteRefusal{Status: http.StatusForbidden, Err: errRouteDenied}
}
