package registryauth

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// Handler authenticates and authorizes requests to an OCI registry. It acts
// on `/v2/` and its own endpoints; every other request goes to the next
// handler. Put it in front of `reverse_proxy`.
type Handler struct {
	caddyfile.Config

	realm *realm
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
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	var list []authn.Named
	if h.AuthenticatorsRaw != nil {
		modules, err := ctx.LoadModule(h, "AuthenticatorsRaw")
		if err != nil {
			return fmt.Errorf("loading authenticators: %w", err)
		}
		found, _ := modules.([]any)
		if list, err = nameAuthenticators(found); err != nil {
			return err
		}
	}
	mine, err := newRealm(ctx, h.Config, list, app)
	if err != nil {
		return err
	}
	if h.realm, err = app.realms.register(mine); err != nil || h.realm != mine {
		mine.lease.done()
	}
	if err != nil {
		return err
	}
	if h.realm != mine && !h.realm.lease.acquire() {
		return fmt.Errorf("realm %q is being taken down", h.realm.name)
	}
	return nil
}

// Validate warns about configurations that load but serve nobody.
func (h *Handler) Validate() error {
	if !h.realm.policy.load().GrantsAnything() {
		h.realm.logger.Warn("no grant allows anything: every request will be refused", zap.String("realm", h.realm.name))
	}
	return nil
}

// Cleanup gives shared state back as soon as no request uses it any more.
func (h *Handler) Cleanup() error {
	if h.realm != nil {
		h.realm.lease.done()
	}
	return nil
}

// ServeHTTP dispatches between the gateway's own endpoints, the registry and
// everything else.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	own := h.realm.ownEndpoint(r)
	if own == nil && !authz.IsRegistryPath(r.URL) {
		return h.serveOther(w, r, next)
	}
	run := h.realm.enter(w, r)
	if run == nil {
		return nil
	}
	defer h.realm.lease.done()
	if !validHost(r.Host) {
		tokenendpoint.WriteError(w, r, http.StatusBadRequest, tokenendpoint.CodeUnsupported, "the Host header is not a host name", nil)
		return nil
	}
	if own != nil {
		own(run).ServeHTTP(w, r)
		return nil
	}
	x := exchange{realm: h.realm, run: run, w: w, r: r, next: next, policy: h.realm.policy.load()}
	return x.serve()
}

// serveOther handles what is not for the registry API.
func (h *Handler) serveOther(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.OtherPaths == caddyfile.OtherPathsDeny {
		tokenendpoint.WriteError(w, r, http.StatusNotFound, tokenendpoint.CodeUnsupported, "nothing but the registry API under /v2/ is served here", nil)
		return nil
	}
	if h.realm.portalPrefix != "" && portal.IsWorker(r) {
		tokenendpoint.WriteError(w, r, http.StatusForbidden, tokenendpoint.CodeDenied, "service workers are not served beside the pages: give those a host of their own", nil)
		return nil
	}
	h.realm.dropForeignIdentity(r)
	hideCookies(r)
	return next.ServeHTTP(w, r)
}

// ownEndpoint returns which of the realm's own endpoints a path names, or nil.
func (r *realm) ownEndpoint(req *http.Request) func(*running) http.Handler {
	if req.URL.RawPath != "" {
		// Names in the management API's paths may have escaped slashes; what
		// leads to it and to everything else has one spelling.
		if r.isManagement(req.URL.EscapedPath()) {
			return func(run *running) http.Handler { return run.api }
		}
		return nil
	}
	switch path := req.URL.Path; {
	case slices.Contains(r.tokenPaths, path):
		return func(run *running) http.Handler { return run.endpoint }
	case path == r.token.KeysPath():
		return func(run *running) http.Handler { return tokenendpoint.NewJWKSHandler(run.keys) }
	case path == r.token.BundlePath():
		return func(run *running) http.Handler { return tokenendpoint.NewCertificatesHandler(run.keys) }
	case r.isManagement(path):
		return func(run *running) http.Handler { return run.api }
	case r.isPortal(path):
		return func(run *running) http.Handler { return run.portal }
	}
	return nil
}
