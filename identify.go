package registryauth

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// routeRefusal is why a request to a route beside the registry API ends here.
type routeRefusal struct {
	status     int
	retryAfter time.Duration
	err        error // safe for logs
}

var (
	errRealmNotReady = errors.New("the realm is not ready")
	errNotSignedIn   = errors.New("not signed in")
	errRouteDenied   = errors.New("signed in, and may not")
	errLimited       = errors.New("the access token is good for a part of the registry API only")
)

// identify finds out who sends a request to a route beside the registry API
// and whether they may, and prepares the request for what is behind: it says
// who it comes from in no words but the gateway's.
func (p *Provider) identify(w http.ResponseWriter, r *http.Request) (*authn.Principal, *routeRefusal) {
	realm, err := p.app.realms.realm(p.Realm)
	if err != nil {
		return nil, &routeRefusal{status: http.StatusInternalServerError, err: err}
	}
	run := realm.ready(r.Context())
	if run == nil || !realm.lease.acquire() {
		return nil, &routeRefusal{status: http.StatusServiceUnavailable, retryAfter: retryAfterStart, err: errRealmNotReady}
	}
	defer realm.lease.done()
	policy := realm.policy.load()
	principal, refusal := p.admit(run, policy, r)
	realm.dropForeignIdentity(r)
	hideCookies(r)
	realm.recorder.route(r, principal, refusal)
	if refusal != nil {
		if refusal.status == http.StatusUnauthorized {
			askForBasic(w, realm)
		}
		return nil, refusal
	}
	run.used(r, principal)
	if p.access != nil {
		dropOverrides(r.Header)
	}
	if realm.identity != nil {
		realm.identity.clean(r.Header)
		delete(r.Header, "Authorization") // the headers take its place
		realm.identity.set(r.Header, principal, policy)
	}
	return principal, nil
}

// admit decides. The principal is who was authenticated, also where they may
// not; nil if nobody was.
func (p *Provider) admit(run *running, policy *authz.Policy, r *http.Request) (*authn.Principal, *routeRefusal) {
	need, err := p.access.needs(r)
	if err != nil {
		return nil, &routeRefusal{status: http.StatusBadRequest, err: err}
	}
	principal, err := authenticateFor(run, r)
	var throttled *authn.ThrottledError
	switch {
	case errors.As(err, &throttled):
		return nil, &routeRefusal{status: http.StatusTooManyRequests, retryAfter: throttled.RetryAfter, err: err}
	case errors.Is(err, authn.ErrBusy):
		return nil, &routeRefusal{status: http.StatusTooManyRequests, retryAfter: time.Second, err: err}
	case errors.Is(err, authn.ErrUnavailable):
		return nil, &routeRefusal{status: http.StatusServiceUnavailable, retryAfter: 5 * time.Second, err: err}
	case err == nil && principal.Credential == authn.CredentialRegistryToken:
		err = errors.New("a registry token is for the registry API only")
	}
	switch {
	case err != nil:
		return nil, &routeRefusal{status: http.StatusUnauthorized, err: err}
	case principal.Limits != nil:
		// What is behind would take it for all of its owner.
		return principal, &routeRefusal{status: http.StatusForbidden, err: errLimited}
	case p.access.allows(principal, need, policy):
		return principal, nil
	case principal.IsAnonymous():
		return principal, &routeRefusal{status: http.StatusUnauthorized, err: errNotSignedIn}
	}
	return principal, &routeRefusal{status: http.StatusForbidden, err: errRouteDenied}
}

// dropOverrides removes what would make the server behind see another method
// or path than was decided about.
func dropOverrides(h http.Header) {
	for name := range h {
		switch headerAlias(name) {
		case "x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-original-uri", "x-rewrite-url":
			delete(h, name)
		}
	}
}
