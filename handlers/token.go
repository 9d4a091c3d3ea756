package handlers

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-registry-auth/caddy-registry-auth/realm"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// TokenHandler serves a realm's token endpoint and its public keys alone, for
// a site such as auth.example.com. It answers at the paths that the realm's
// token settings name; every other request goes to the next handler.
type TokenHandler struct {
	// The realm whose tokens are issued. Default: the only one.
	Realm string `json:"realm,omitempty"`

	// Further realms that answer here. Where several have the same path, the
	// request's `service` says whose tokens are wanted; a service that none
	// of them knows is the first one's to refuse.
	Realms []string `json:"realms,omitempty"`

	app *realm.App
}

// CaddyModule returns the Caddy module information.
func (TokenHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.registry_token", New: func() caddy.Module { return new(TokenHandler) }}
}

// parseTokenHandler reads the directive:
//
//	registry_token [<matcher>] [<realm>...]
func parseTokenHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	t := new(TokenHandler)
	if h.NextArg() {
		t.Realm, t.Realms = h.Val(), h.RemainingArgs()
	}
	if h.NextBlock(0) {
		return nil, h.Err("registry_token takes no block: the realm's `token` block says how tokens are made")
	}
	return t, nil
}

// Provision finds the app; the realm is looked up when it is used, since the
// site that declares it may be provisioned later.
func (t *TokenHandler) Provision(ctx caddy.Context) error {
	app, err := realm.AppOf(ctx)
	if err != nil {
		return err
	}
	t.app = app
	for _, name := range t.names() {
		t.app.Want(name)
	}
	return nil
}

func (t *TokenHandler) names() []string { return append([]string{t.Realm}, t.Realms...) }

// ServeHTTP answers at the realms' own paths.
func (t *TokenHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	var owners []*realm.Realm
	for _, name := range t.names() {
		known, err := t.app.Realm(name)
		if err != nil {
			return caddyhttp.Error(http.StatusInternalServerError, err)
		}
		if known.TokenEndpoint(r) != nil {
			owners = append(owners, known)
		}
	}
	if len(owners) == 0 {
		return next.ServeHTTP(w, r)
	}
	owner := owners[0]
	if len(owners) > 1 {
		service := tokenendpoint.ServiceOf(r)
		if i := slices.IndexFunc(owners, func(o *realm.Realm) bool { return o.Serves(service) }); i >= 0 {
			owner = owners[i]
		}
	}
	run := owner.Enter(w, r)
	if run == nil {
		return nil
	}
	defer run.Leave()
	serveOwn(w, r, owner.TokenEndpoint(r)(run))
	return nil
}
