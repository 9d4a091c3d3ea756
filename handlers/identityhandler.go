package handlers

import (
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

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
		if refusal.RetryAfter > 0 {
			w.Header().Set("Retry-After", gateway.RetryAfter(refusal.RetryAfter))
		}
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
