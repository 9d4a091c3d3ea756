package gateway

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
)

// cookiesVar is where the cookies of a request are kept that were hidden.
const cookiesVar = "registry_auth.cookies"

// hideCookies takes the cookies of portals out of a request for another
// handler: what is behind does not need them, and could be the person with
// them. The gateway's own handlers that come later still find them, see
// shownHeader.
func hideCookies(r *http.Request) {
	rest, own := portal.WithoutOwnCookies(r.Header["Cookie"])
	if !own {
		return
	}
	caddyhttp.SetVar(r.Context(), cookiesVar, r.Header["Cookie"])
	if delete(r.Header, "Cookie"); rest != nil {
		r.Header["Cookie"] = rest
	}
}

// shownHeader is the header of a request with the cookies that were hidden.
func shownHeader(r *http.Request) http.Header {
	cookies, ok := caddyhttp.GetVar(r.Context(), cookiesVar).([]string)
	if !ok {
		return r.Header
	}
	h := r.Header.Clone()
	h["Cookie"] = cookies
	return h
}
