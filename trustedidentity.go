package registryauth

import (
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// trustedHeaders are an authenticator that reads identities from headers.
type trustedHeaders interface {
	Headers() []string
	Trusts(e *authn.Evidence) bool
}

func trustedHeadersOf(list []authn.Member) []trustedHeaders {
	var trusted []trustedHeaders
	for _, n := range list {
		if t, ok := n.Authenticator.(trustedHeaders); ok {
			trusted = append(trusted, t)
		}
	}
	return trusted
}

// dropIdentity removes the headers that the realm reads identities from, under
// every spelling of their names: on its way to the registry a request speaks
// of no identity but ours.
func (r *realm) dropIdentity(h http.Header) {
	for _, t := range r.trusted {
		dropHeaders(h, t.Headers())
	}
}

// dropForeignIdentity does that for routes that are not ours, unless the
// headers are from whom the realm believes them: what is served there may
// believe them, too.
func (r *realm) dropForeignIdentity(req *http.Request) {
	for _, t := range r.trusted {
		if !t.Trusts(requestEvidence(req)) {
			dropHeaders(req.Header, t.Headers())
		}
	}
}

func dropHeaders(h http.Header, names []string) {
	for name := range h {
		if authn.IsHeaderAlias(names, name) {
			delete(h, name)
		}
	}
}
