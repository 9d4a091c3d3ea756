package tokenendpoint

import (
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// What a challenge may say is wrong with the token that was shown (RFC 6750
// §3.1). Clients ask for another token only when they are told.
const (
	ErrorInvalidToken      = "invalid_token"
	ErrorInsufficientScope = "insufficient_scope"
)

// Challenge tells a client where to get a token, and for what.
type Challenge struct {
	// Realm is the absolute URL of the token endpoint.
	Realm string
	// Service is the name of the registry.
	Service string
	// Scope is what a token would have to allow: the target first, then the
	// source of a mount. Empty where any token will do.
	Scope []authz.Access
	// Error is ErrorInvalidToken, ErrorInsufficientScope, or empty if no
	// token was shown.
	Error string
}

// String returns the value of the WWW-Authenticate header. Parameters are
// always quoted and in the order that all clients understand; a scope that is
// empty is left out, because parsers stop at an empty value.
func (c Challenge) String() string {
	b := make([]byte, 0, 256)
	b = append(b, `Bearer realm="`...)
	b = appendParameter(b, c.Realm)
	b = append(b, `",service="`...)
	b = appendParameter(b, c.Service)
	if scope := authz.FormatScopes(c.Scope); scope != "" {
		b = append(b, `",scope="`...)
		b = appendParameter(b, scope)
	}
	if c.Error != "" {
		b = append(b, `",error="`...)
		b = appendParameter(b, c.Error)
	}
	return string(append(b, '"'))
}

// Set makes this the one challenge of an answer.
func (c Challenge) Set(h http.Header) { h["Www-Authenticate"] = []string{c.String()} }

// appendParameter appends the content of a quoted string. What would need an
// escape, which clients don't all know, is percent-encoded: it has no business
// in a URL or a name.
func appendParameter(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c == '"', c == '\\', c >= 0x7f:
			b = append(b, '%', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
