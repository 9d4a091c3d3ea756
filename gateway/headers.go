package gateway

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
)

// cleanHeaders removes what a client could use to speak in the gateway's name
// or to steer proxies and registries behind it. It is a list of what may pass
// for the X- family, since a list of what may not is never complete.
func cleanHeaders(h http.Header, trustedProxy bool) {
	for name := range h {
		if !passesHeader(name, trustedProxy) {
			delete(h, name)
		}
	}
}

// passesHeader says whether a client's header may reach the registry. Names
// are in canonical form.
func passesHeader(name string, trustedProxy bool) bool {
	switch name {
	case "Authorization", // replaced by upstream_auth
		"Cookie",
		"Connection", "Keep-Alive", "Upgrade", "Http2-Settings", "Te", "Trailer", // hop by hop, and would remove ours
		"Forwarded", "Via", "True-Client-Ip", "Client-Ip", "Cf-Connecting-Ip",
		"Proxy", "Proxy-Authorization", "Proxy-Authenticate", "Proxy-Connection",
		"Front-End-Https", "Early-Data", "Origin":
		return false
	case "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		return trustedProxy // reverse_proxy writes its own otherwise
	case "X-Request-Id", "X-Correlation-Id", "X-Meta-Source-Client":
		return true
	}
	if len(name) > 128 || strings.HasPrefix(name, "X-") || strings.HasPrefix(name, "Remote-") || strings.HasPrefix(name, "Ssl-") {
		return false
	}
	// "X-Registry_User" and "X.Registry.User" become X-Registry-User in
	// CGI-like registries. No header of the protocol has either.
	return !strings.ContainsAny(name, "_.")
}

// HeaderSource is an authenticator that reads identities from headers.
type HeaderSource interface {
	Headers() []string
	Trusts(e *authn.Evidence) bool
}

// TrustedHeaders are those authenticators of a realm.
type TrustedHeaders []HeaderSource

// TrustedHeadersOf finds them.
func TrustedHeadersOf(list []authn.Member) TrustedHeaders {
	var trusted TrustedHeaders
	for _, n := range list {
		if t, ok := n.Authenticator.(HeaderSource); ok {
			trusted = append(trusted, t)
		}
	}
	return trusted
}

// drop removes the headers that the realm reads identities from, under every
// spelling of their names: on its way to the registry a request speaks of no
// identity but ours.
func (t TrustedHeaders) drop(h http.Header) {
	for _, source := range t {
		dropHeaders(h, source.Headers())
	}
}

// CleanRoute prepares a request that is not for the registry API for another
// handler. It loses the cookies of portals, and those headers unless they are
// from whom the realm believes them: what is served there may believe them, too.
func (t TrustedHeaders) CleanRoute(r *http.Request) {
	for _, source := range t {
		if !source.Trusts(requestEvidence(r)) {
			dropHeaders(r.Header, source.Headers())
		}
	}
	hideCookies(r)
}

func dropHeaders(h http.Header, names []string) {
	for name := range h {
		if authn.IsHeaderAlias(names, name) {
			delete(h, name)
		}
	}
}

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

// DropOverrides removes what would make the server behind see another method
// or path than was decided about.
func DropOverrides(h http.Header) {
	for name := range h {
		switch headerAlias(name) {
		case "x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-original-uri", "x-rewrite-url":
			delete(h, name)
		}
	}
}
