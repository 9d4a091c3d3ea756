package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/realm"
)

// Provider gives Caddy's own `authentication` handler the identities of a
// realm, for a registry's user interface or any other route. A registry
// token is no identity there: it is made for the registry API only. That
// handler answers every refusal with 401; the `registry_identity` handler
// tells who may not from who is not known.
type Provider struct {
	// The realm whose authenticators are asked. Default: the only one.
	Realm string `json:"realm,omitempty"`

	// Who may read, that is GET and HEAD: subjects as in policies. `anyone`
	// needs no credential. Without any of these four settings everybody who
	// is signed in may do everything; with one of them, nobody who is not named.
	Read []string `json:"read,omitempty"`

	// Who may use all other methods, and read.
	Write []string `json:"write,omitempty"`

	// Who may do everything, also at the paths of administrators.
	Admin []string `json:"admin,omitempty"`

	// The paths that only administrators may use, by any method. A `*` at the
	// end stands for everything that begins so. Upper and lower case do not
	// differ.
	AdminPaths []string `json:"admin_paths,omitempty"`

	app    *realm.App
	access *routeAccess
}

// CaddyModule returns the Caddy module information.
func (Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.authentication.providers.registry_auth", New: func() caddy.Module { return new(Provider) }}
}

// Provision finds the app; the realm is looked up when it is used, since the
// site that declares it may be provisioned later.
func (p *Provider) Provision(ctx caddy.Context) error {
	var err error
	if p.access, err = newRouteAccess(p); err != nil {
		return err
	}
	if p.app, err = realm.AppOf(ctx); err != nil {
		return err
	}
	p.app.Want(p.Realm)
	p.app.Mention(p.Realm, p.Read, p.Write, p.Admin)
	return nil
}

// Authenticate checks the request's credential with the realm. Without one
// where one is needed, or with one that does not hold, it asks for HTTP Basic.
func (p *Provider) Authenticate(w http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	principal, refusal := p.identify(w, r)
	switch {
	case refusal == nil:
		return user(principal), true, nil
	case refusal.Status == http.StatusUnauthorized:
		return caddyauth.User{}, false, nil
	}
	return caddyauth.User{}, false, refusal.Err
}

// user is a principal in Caddy's words.
func user(p *authn.Principal) caddyauth.User {
	return caddyauth.User{ID: p.Name, Metadata: map[string]string{
		"kind":       string(p.Kind),
		"groups":     strings.Join(p.Groups, ","),
		"roles":      strings.Join(p.Roles, ","),
		"subject":    p.Subject,
		"issuer":     p.Issuer,
		"credential": p.Credential,
	}}
}

// askForBasic sets the challenge that browsers know.
func askForBasic(w http.ResponseWriter, service string) {
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q, charset=\"UTF-8\"", service))
}

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
		return nil, refusalOf(answer.Starting.Of(), errRealmNotReady)
	}
	defer run.Leave()
	front := run.Front
	if err := gateway.AdmitActor(r); err != nil {
		refusal := refusalOf(gateway.AdmissionAnswer(err), err)
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
	if err == nil && principal.Credential == authn.CredentialRegistryToken {
		err = fmt.Errorf("%w: a registry token is for the registry API only", authn.ErrInvalid)
	}
	switch {
	case err != nil:
		return nil, refusalOf(answer.OfCredential(err), err)
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

// refusalOf is a row of the table of answers. What is behind the route speaks
// no protocol that this one knows: Caddy's error routes say it.
func refusalOf(a answer.Answer, err error) *gateway.RouteRefusal {
	return &gateway.RouteRefusal{Status: a.Status, RetryAfter: a.RetryAfter, Err: err}
}

// IdentityHandler asks for the identities of a realm on routes beside the
// registry API, and decides by role who may read, write or administer there.
type IdentityHandler struct {
	Provider
}

// CaddyModule returns the Caddy module information.
func (IdentityHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.registry_identity", New: func() caddy.Module { return new(IdentityHandler) }}
}

// parseIdentity reads the directive:
//
//	registry_identity [<matcher>] [<realm>] {
//		read       <subject...>
//		write      <subject...>
//		admin      <subject...>
//		admin_path <path...>
//	}
func parseIdentity(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	i := new(IdentityHandler)
	if h.NextArg() {
		i.Realm = h.Val()
	}
	if h.NextArg() {
		return nil, h.ArgErr()
	}
	for nesting := h.Nesting(); h.NextBlock(nesting); {
		if err := i.line(h.Dispenser); err != nil {
			return nil, err
		}
		// After each line, so that an error names it.
		if _, err := newRouteAccess(&i.Provider); err != nil {
			return nil, h.WrapErr(err)
		}
	}
	return i, nil
}

func (i *IdentityHandler) line(d *caddyfile.Dispenser) error {
	name, args := d.Val(), d.RemainingArgs()
	lists := map[string]*[]string{"read": &i.Read, "write": &i.Write, "admin": &i.Admin, "admin_path": &i.AdminPaths}
	list, ok := lists[name]
	if !ok {
		return d.WrapErr(authz.UnknownWord("option of registry_identity", name, []string{"read", "write", "admin", "admin_path"}))
	}
	if len(args) == 0 {
		return d.ArgErr()
	}
	*list = append(*list, args...)
	return nil
}

// ServeHTTP lets the request through or refuses it: 401 for who is not signed
// in, 403 for who may not.
func (i *IdentityHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if alreadyDecided(r) {
		return next.ServeHTTP(w, r)
	}
	principal, refusal := i.identify(w, r)
	if refusal != nil {
		answer.SetRetryAfter(w.Header(), refusal.RetryAfter)
		return caddyhttp.Error(refusal.Status, refusal.Err)
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		u := user(principal)
		repl.Set("http.auth.user.id", u.ID)
		for name, value := range u.Metadata {
			repl.Set("http.auth.user."+name, value)
		}
	}
	return next.ServeHTTP(w, r)
}

// alreadyDecided reports whether the request comes from the realm's own handler, which
// has allowed it and taken its credential away: without a matcher this handler
// stands behind that one for the registry API, too.
func alreadyDecided(r *http.Request) bool {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if ok {
		_, ok = repl.Get("http.registry_auth.repository")
	}
	return ok
}
