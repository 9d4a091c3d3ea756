package tokenendpoint

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// failure is a refusal on its way to the client.
type failure struct {
	status     int
	oauth      string // RFC 6749 §5.2
	code       answer.Code
	message    string
	retryAfter time.Duration
	err        error // for the record; the client never sees it
}

func badRequest(message string) *failure {
	return &failure{
		status: http.StatusBadRequest, oauth: "invalid_request", code: answer.CodeUnsupported,
		message: message, err: errors.New(message),
	}
}

func unauthorized(message string, err error) *failure {
	f := asFailure(answer.Invalid.Of(), err)
	f.message = message
	return f
}

// unavailable is a failure of this side. It passes, unless the table of answers
// has the error and says otherwise: a full store stays full.
func unavailable(err error) *failure {
	a := answer.Of(err)
	if a.Kind == answer.Internal {
		a = answer.Unchecked.Of()
	}
	return asFailure(a, err)
}

// refusal says how an authentication error is answered.
func refusal(err error) *failure { return asFailure(answer.OfCredential(err), err) }

func asFailure(a answer.Answer, err error) *failure {
	return &failure{status: a.Status, oauth: a.OAuth, code: a.Code, message: a.Sentence, retryAfter: a.RetryAfter, err: err}
}

// fail answers with a refusal and records it.
func (x *exchange) fail(f *failure) {
	h := x.w.Header()
	if f.status == http.StatusUnauthorized && x.endpoint.Realm != nil {
		challenge := Challenge{Realm: x.endpoint.Realm(x.r), Service: x.endpoint.Service, Scope: x.requested}
		challenge.Set(h)
	}
	answer.SetRetryAfter(h, f.retryAfter)
	h.Set("Pragma", "no-cache")
	if f.err == nil {
		f.err = errors.New(f.message)
	}
	if !x.keycloak || !x.failKeycloak(f) {
		answer.WriteOAuth(x.w, x.r, f.status, f.oauth, f.code, f.message)
	}
	x.record(Record{Status: f.status, Code: f.code, Err: f.err})
}

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
