// Package handlers has what Caddy sees of a realm: the handlers of the registry
// API, of the token endpoint and of other routes, the provider of identities
// for Caddy's own authentication, and the matcher. Their directives are read
// here.
package handlers

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/realm"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
)

func init() {
	caddy.RegisterModule(Handler{})
	caddy.RegisterModule(TokenHandler{})
	caddy.RegisterModule(Matcher{})
	caddy.RegisterModule(Provider{})
	caddy.RegisterModule(IdentityHandler{})

	httpcaddyfile.RegisterHandlerDirective("registry_auth", parseHandler)
	httpcaddyfile.RegisterHandlerDirective("registry_token", parseTokenHandler)
	httpcaddyfile.RegisterHandlerDirective("registry_identity", parseIdentity)
	// Before forward_auth: behind rate limits and rewrites, in front of
	// everything that may use the identity or answer in the registry's name.
	httpcaddyfile.RegisterDirectiveOrder("registry_auth", httpcaddyfile.Before, "forward_auth")
	httpcaddyfile.RegisterDirectiveOrder("registry_token", httpcaddyfile.Before, "forward_auth")
	httpcaddyfile.RegisterDirectiveOrder("registry_identity", httpcaddyfile.Before, "forward_auth")
}

// Interface guards
var (
	_ caddy.Provisioner                 = (*Handler)(nil)
	_ caddy.Validator                   = (*Handler)(nil)
	_ caddy.CleanerUpper                = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler       = (*Handler)(nil)
	_ caddy.Provisioner                 = (*TokenHandler)(nil)
	_ caddyhttp.MiddlewareHandler       = (*TokenHandler)(nil)
	_ caddyhttp.RequestMatcherWithError = (*Matcher)(nil)
	_ caddy.Provisioner                 = (*Provider)(nil)
	_ caddyauth.Authenticator           = (*Provider)(nil)
	_ caddy.Provisioner                 = (*IdentityHandler)(nil)
	_ caddyhttp.MiddlewareHandler       = (*IdentityHandler)(nil)
)

// Handler authenticates and authorizes requests to an OCI registry. It acts
// on `/v2/` and its own endpoints; every other request goes to the next
// handler. Put it in front of `reverse_proxy`.
type Handler struct {
	caddyfile.Config

	realm *realm.Realm
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.registry_auth", New: func() caddy.Module { return new(Handler) }}
}

func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	config, err := caddyfile.Realm(h.Dispenser)
	if err != nil {
		return nil, err
	}
	return &Handler{Config: *config}, nil
}

// Provision compiles the policy and loads the authenticators. It makes no
// keys and touches no network.
func (h *Handler) Provision(ctx caddy.Context) error {
	app, err := realm.AppOf(ctx)
	if err != nil {
		return err
	}
	config := h.Config // Caddy clears what it loads, which tells two realms of one name apart
	var list []authn.Member
	if h.AuthenticatorsRaw != nil {
		modules, err := ctx.LoadModule(h, "AuthenticatorsRaw")
		if err != nil {
			return fmt.Errorf("loading authenticators: %w", err)
		}
		found, _ := modules.([]any)
		if list, err = caddyfile.Members(found); err != nil {
			return err
		}
	}
	var shown upstream.Credentials
	if h.UpstreamAuthRaw != nil {
		module, err := ctx.LoadModule(h, "UpstreamAuthRaw")
		if err != nil {
			return fmt.Errorf("upstream_auth: %w", err)
		}
		var ok bool
		if shown, ok = module.(upstream.Credentials); !ok {
			return fmt.Errorf("upstream_auth: %T is no credential of a registry", module)
		}
	}
	if h.realm, err = app.Declare(ctx, config, list, shown); err != nil {
		return err
	}
	app.BeforeStart(func() error { return h.checkRoutes(ctx) })
	return nil
}

// Validate warns about configurations that load but serve nobody.
func (h *Handler) Validate() error {
	h.realm.WarnIfUseless()
	return nil
}

// Cleanup gives shared state back as soon as no request uses it any more.
func (h *Handler) Cleanup() error {
	if h.realm != nil {
		h.realm.Leave()
	}
	return nil
}

// ServeHTTP dispatches between the gateway's own endpoints, the registry and
// everything else.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	own := h.realm.OwnEndpoint(r)
	if own == nil && !authz.IsRegistryPath(r.URL) {
		return h.serveOther(w, r, next)
	}
	run := h.realm.Enter(w, r)
	if run == nil {
		return nil
	}
	defer run.Leave()
	if own == nil {
		return run.Front.Serve(w, r, next)
	}
	serveOwn(w, r, own(run))
	return nil
}

// serveOwn admits a request to an endpoint of the gateway's own, each of which
// checks itself, in its own words, which sites may send it what.
func serveOwn(w http.ResponseWriter, r *http.Request, endpoint http.Handler) {
	if err := gateway.Admit(r); err != nil {
		refuseAdmission(w, r, err)
		return
	}
	endpoint.ServeHTTP(w, r)
}

func refuseAdmission(w http.ResponseWriter, r *http.Request, err error) {
	a := gateway.AdmissionAnswer(err)
	answer.Write(w, r, a.Status, a.Code, a.Sentence, nil)
}

// serveOther handles what is not for the registry API.
func (h *Handler) serveOther(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.OtherPaths == caddyfile.OtherPathsDeny {
		answer.Write(w, r, http.StatusNotFound, answer.CodeUnsupported, "nothing but the registry API under /v2/ is served here", nil)
		return nil
	}
	if err := gateway.AdmitRoute(r); err != nil {
		refuseAdmission(w, r, err)
		return nil
	}
	if h.realm.HasPortal() && portal.IsWorker(r) {
		answer.Write(w, r, http.StatusForbidden, answer.CodeDenied, "service workers are not served beside the pages: give those a host of their own", nil)
		return nil
	}
	h.realm.CleanRoute(r)
	return next.ServeHTTP(w, r)
}
