package handlers

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// checkRoutes refuses routes behind a handler that would lead the gateway's own
// questions elsewhere than the request that asks: a push is a PUT and asks with
// HEAD and GET whether its tag exists. Everything else that chooses among
// registries sees the same in both.
func (h *Handler) checkRoutes(ctx caddy.Context) error {
	if !asksAboutTags(&h.Policy) {
		return nil
	}
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return nil //nolint:nilerr // without the HTTP app nobody asks anything
	}
	web, ok := app.(*caddyhttp.App)
	if !ok {
		return nil
	}
	for _, server := range web.Servers {
		if _, err := h.behind(server.Routes); err != nil {
			return err
		}
	}
	return nil
}

// asksAboutTags reports whether decisions depend on what the registry has.
func asksAboutTags(policy *authz.Config) bool {
	for i := range policy.Projects {
		if len(policy.Projects[i].Immutable) > 0 {
			return true
		}
	}
	return len(policy.OwnerOnly)+len(policy.CreatorRoles) > 0
}

// behind looks for the handler in a list of routes and checks those that come
// after it.
func (h *Handler) behind(routes caddyhttp.RouteList) (found bool, err error) {
	group := ""
	for i := range routes {
		r := &routes[i]
		if found && (group == "" || r.Group != group) && dependsOnMethod(r.MatcherSets) && proxies(r.Handlers) {
			return true, fmt.Errorf("realm %q: a route behind registry_auth leads to a reverse_proxy by the request's method, so that the gateway would ask another registry about tags than the one a push goes to: "+
				"choose first and put registry_auth inside, as in `handle @write { import registry_auth_of_this_site; reverse_proxy primary:5000 }`", cmp.Or(h.Realm, "default"))
		}
		for _, handler := range r.Handlers {
			switch v := handler.(type) {
			case *Handler:
				found = found || v == h
			case *caddyhttp.Subroute:
				inside, err := h.behind(v.Routes)
				if err != nil {
					return false, err
				}
				found = found || inside
			}
		}
		if found && group == "" {
			group = r.Group
		}
	}
	return found, nil
}

// dependsOnMethod reports whether matchers for a push and for a question about
// it may differ. Sets that no path of the registry API satisfies do not count.
func dependsOnMethod(sets caddyhttp.MatcherSets) bool {
	for _, set := range sets {
		method, api := false, true
		for _, m := range set {
			switch m := m.(type) {
			case *caddyhttp.MatchMethod, caddyhttp.MatchMethod:
				method = true
			case *caddyhttp.MatchExpression:
				method = method || strings.Contains(m.Expr, "method")
			case *caddyhttp.MatchNot:
				method = method || dependsOnMethod(m.MatcherSets)
			case *caddyhttp.MatchPath:
				api = api && matchesAPI(*m)
			case caddyhttp.MatchPath:
				api = api && matchesAPI(m)
			}
		}
		if method && api {
			return true
		}
	}
	return false
}

func matchesAPI(m caddyhttp.MatchPath) bool {
	r := &http.Request{Method: http.MethodPut, URL: &url.URL{Path: "/v2/repository/manifests/tag"}, Header: http.Header{}}
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	ok, err := m.MatchWithError(r)
	return ok || err != nil
}

// proxies reports whether handlers lead to another server.
func proxies(handlers []caddyhttp.MiddlewareHandler) bool {
	for _, handler := range handlers {
		if s, ok := handler.(*caddyhttp.Subroute); ok {
			for i := range s.Routes {
				if proxies(s.Routes[i].Handlers) {
					return true
				}
			}
			continue
		}
		if m, ok := handler.(caddy.Module); ok && m.CaddyModule().ID == "http.handlers.reverse_proxy" {
			return true
		}
	}
	return false
}
