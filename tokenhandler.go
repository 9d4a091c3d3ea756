package registryauth

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TokenHandler serves a realm's token endpoint and its public keys alone, for
// a site such as auth.example.com. It answers at the paths that the realm's
// token settings name; every other request goes to the next handler.
type TokenHandler struct {
	// The realm whose tokens are issued. Default: the only one.
	Realm string `json:"realm,omitempty"`

	app *App
}

// CaddyModule returns the Caddy module information.
func (TokenHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.registry_token", New: func() caddy.Module { return new(TokenHandler) }}
}

// parseTokenHandler reads the directive:
//
//	registry_token [<matcher>] [<realm>]
func parseTokenHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	t := new(TokenHandler)
	if h.NextArg() {
		t.Realm = h.Val()
	}
	if h.NextArg() {
		return nil, h.ArgErr()
	}
	if h.NextBlock(0) {
		return nil, h.Err("registry_token takes no block: the realm's `token` block says how tokens are made")
	}
	return t, nil
}

// Provision finds the app; the realm is looked up when it is used, since the
// site that declares it may be provisioned later.
func (t *TokenHandler) Provision(ctx caddy.Context) error {
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	t.app = app
	t.app.realms.want(t.Realm)
	return nil
}

// ServeHTTP answers at the realm's own paths.
func (t *TokenHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	realm, err := t.app.realms.realm(t.Realm)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	own := realm.ownEndpoint(r)
	if own == nil {
		return next.ServeHTTP(w, r)
	}
	run := realm.enter(w, r)
	if run == nil {
		return nil
	}
	defer realm.lease.done()
	own(run).ServeHTTP(w, r)
	return nil
}
