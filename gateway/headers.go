package gateway

import (
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// HeaderSource is an authenticator that reads identities from headers.
type HeaderSource interface {
	Headers() []string
	Trusts(e *authn.Evidence) bool
}

// TrustedHeaders are those authenticators of a realm.
type TrustedHeaders []HeaderSource

// TrustedHeadersOf finds them.
func TrustedHeadersOf(list []authn.Named) TrustedHeaders {
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
