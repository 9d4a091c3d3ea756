package gateway

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
)

// HeaderSource is an authenticator that reads identities from headers.
type HeaderSource interface {
	Headers() []string
	Trusts(e *authn.Evidence) bool
}

// Cleaning is what requests lose on their way to a server behind the gateway:
// whatever could say there who somebody is, in words that are not the
// gateway's. It is the same for every route.
type Cleaning struct {
	sources  []HeaderSource
	identity *IdentityHeaders
	drop     map[string]bool // further names, as headerAlias has them
	pass     map[string]bool // names that are left alone in spite of all
}

// NewCleaning compiles the settings of a realm.
func NewCleaning(c *caddyfile.Config, list []authn.Member, identity *IdentityHeaders) (*Cleaning, error) {
	out := &Cleaning{identity: identity, drop: map[string]bool{}, pass: map[string]bool{}}
	for _, n := range list {
		if s, ok := n.Authenticator.(HeaderSource); ok {
			out.sources = append(out.sources, s)
		}
	}
	for _, name := range c.DropHeaders {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("drop_headers: %q is not the name of a header", name)
		}
		out.drop[headerAlias(name)] = true
	}
	for _, name := range c.PassHeaders {
		alias := headerAlias(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("insecure_pass_headers: %q is not the name of a header", name)
		case isHop(http.CanonicalHeaderKey(name)), identity != nil && identity.names[alias], out.drop[alias]:
			return nil, fmt.Errorf("insecure_pass_headers: %s is the gateway's own to send", name)
		}
		for _, s := range out.sources {
			if authn.IsHeaderAlias(s.Headers(), name) {
				return nil, fmt.Errorf("insecure_pass_headers: trusted_headers reads %s", name)
			}
		}
		out.pass[alias] = true
	}
	return out, nil
}

// registry cleans a request to the registry API. Its credential goes, too.
func (c *Cleaning) registry(r *http.Request) {
	r.Trailer = nil
	trusted := fromTrustedProxy(r)
	for name := range r.Header {
		if !c.passes(name, trusted) {
			delete(r.Header, name)
		}
	}
	for _, s := range c.sources {
		dropHeaders(r.Header, s.Headers())
	}
}

// passes says whether a client's header may reach the registry. Names are in
// canonical form.
func (c *Cleaning) passes(name string, trustedProxy bool) bool {
	if len(c.drop) > 0 && c.drop[headerAlias(name)] {
		return false
	}
	return passesHeader(name, trustedProxy) || len(c.pass) > 0 && c.pass[headerAlias(name)]
}

// identifiedVar says that an earlier handler of ours has cleaned a request and
// told who sends it.
const identifiedVar = "registry_auth.identified"

// Route cleans a request that is not for the registry API. It loses the
// cookies of portals, and headers about identities unless they are from a
// proxy that the realm believes: what is served there may believe them, too.
func (c *Cleaning) Route(r *http.Request) {
	hideCookies(r)
	if identified, _ := caddyhttp.GetVar(r.Context(), identifiedVar).(bool); identified {
		return
	}
	endToEnd(r)
	var believed []string
	for _, s := range c.sources {
		if s.Trusts(requestEvidence(r)) {
			believed = append(believed, s.Headers()...)
		} else {
			dropHeaders(r.Header, s.Headers())
		}
	}
	for name := range r.Header {
		alias := headerAlias(name)
		switch {
		case c.drop[alias], c.identity != nil && c.identity.names[alias]:
			delete(r.Header, name)
		case saysIdentity(alias) && !c.pass[alias] && !authn.IsHeaderAlias(believed, name):
			delete(r.Header, name)
		}
	}
}

// identified notes that the request says who sends it in the gateway's words.
func identified(r *http.Request) { caddyhttp.SetVar(r.Context(), identifiedVar, true) }

// endToEnd makes a proxy that comes later take out nothing but what belongs to
// the connection: a client could name the gateway's own headers in Connection.
// Trailers come after all checks.
func endToEnd(r *http.Request) {
	h := r.Header
	if h["Connection"] != nil {
		delete(h, "Connection")
		if len(h["Upgrade"]) > 0 {
			h["Connection"] = []string{"Upgrade"}
		}
	}
	for _, name := range []string{"Keep-Alive", "Proxy-Connection", "Trailer"} {
		delete(h, name)
	}
	if te := h["Te"]; te != nil {
		delete(h, "Te")
		if strings.Contains(strings.Join(te, ","), "trailers") {
			h["Te"] = []string{"trailers"} // gRPC
		}
	}
	r.Trailer = nil
}

func dropHeaders(h http.Header, names []string) {
	for name := range h {
		if authn.IsHeaderAlias(names, name) {
			delete(h, name)
		}
	}
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

// passesHeader says whether a client's header may reach a registry. It is a
// list of what may pass for the X- family, since a list of what may not is
// never complete.
func passesHeader(name string, trustedProxy bool) bool {
	switch name {
	case "Accept", "Accept-Encoding", "User-Agent", "Content-Type", "Content-Length", "Content-Range", "Range",
		"If-Match", "If-None-Match", "If-Modified-Since", "Expect", "Traceparent", "Docker-Upload-Uuid",
		"X-Request-Id", "X-Correlation-Id", "X-Meta-Source-Client":
		return true
	case "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		return trustedProxy // reverse_proxy writes its own otherwise
	}
	if isHop(name) || len(name) > 128 || strings.HasPrefix(name, "X-") {
		return false
	}
	// "X-Registry_User" and "X.Registry.User" become X-Registry-User in
	// CGI-like registries. No header of the protocol has either.
	if strings.ContainsAny(name, "_.") {
		return false
	}
	alias := strings.ToLower(name)
	return !saysIdentity(alias) && !isCredential(alias)
}

// isHop reports whether a header steers proxies, or is the gateway's to write.
func isHop(name string) bool {
	switch name {
	case "Authorization", // replaced by upstream_auth
		"Cookie",
		"Connection", "Keep-Alive", "Upgrade", "Http2-Settings", "Te", "Trailer", // hop by hop, and would remove ours
		"Forwarded", "Via", "True-Client-Ip", "Client-Ip", "Cf-Connecting-Ip",
		"Proxy", "Proxy-Authorization", "Proxy-Authenticate", "Proxy-Connection",
		"Front-End-Https", "Early-Data", "Origin":
		return true
	}
	return false
}

// isCredential reports whether products take a header for a credential, as
// they take Authorization.
func isCredential(alias string) bool {
	switch alias {
	case "private-token", "job-token", "deploy-token", "api-key", "apikey", "auth-token", "access-token":
		return true
	}
	return false
}

// saysIdentity reports whether a product is known to read from a header who
// somebody is. Names are as headerAlias has them. Whoever finds one missing can
// name it in drop_headers.
func saysIdentity(alias string) bool {
	for _, prefix := range identityPrefixes {
		if strings.HasPrefix(alias, prefix) {
			return true
		}
	}
	return identityNames[alias]
}

var identityPrefixes = []string{
	"remote-", "x-remote-", // CGI, Authelia, Kubernetes' request header
	"x-auth-request-", "x-auth-user", "x-auth-email", "x-auth-group", "x-auth-role", "x-auth-name", // oauth2-proxy and others
	"x-webauth-", "x-authenticated-", "x-authentik-", "x-pomerium-", "x-vouch-", "x-oidc-", "oidc-", "x-jwt-", "x-saml-", "mellon-", "shib-", "x-token-",
	"cf-access-", "tailscale-", "x-goog-iap-", "x-goog-authenticated-user-", "x-amzn-oidc-", "x-amzn-mtls-", "x-ms-client-principal", "x-ms-token-",
	"x-consumer-", "x-credential-", "x-appengine-user-", "x-endpoint-api-",
	"impersonate-",       // Kubernetes
	"iv-", "sm-", "oam-", // IBM WebSEAL, SiteMinder, Oracle Access Manager
	"ssl-client-", "x-ssl-client-", "client-cert", "x-client-cert", "client-verify", "x-client-verify", "x-client-dn", "x-tls-client-",
}

var identityNames = func() map[string]bool {
	names := map[string]bool{}
	for _, name := range []string{
		"x-forwarded-user", "x-forwarded-username", "x-forwarded-preferred-username", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-group",
		"x-forwarded-roles", "x-forwarded-access-token", "x-forwarded-id-token", "x-forwarded-client-cert", "x-forwarded-tls-client-cert",
		"x-forwarded-tls-client-cert-info", "x-registry-role", "x-registry-user",
		"x-user", "x-user-id", "x-userid", "x-username", "x-user-name", "x-user-email", "x-user-groups", "x-user-roles", "x-userinfo", "x-email",
		"x-groups", "x-group", "x-roles", "x-role", "x-login", "x-account", "x-subject", "x-principal", "x-identity", "x-access-token", "x-id-token",
		"auth-user", "auth-username", "authenticated-user", "logged-in-user", "proxy-user", "smuser", "ssl-cn", "http-remote-user",
	} {
		names[name] = true
	}
	return names
}()

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
