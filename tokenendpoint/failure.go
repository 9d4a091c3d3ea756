package tokenendpoint

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// failure is a refusal on its way to the client.
type failure struct {
	status     int
	oauth      string // RFC 6749 §5.2
	code       Code
	message    string
	retryAfter time.Duration
	err        error // for the record; the client never sees it
}

// How long clients are asked to stay away.
const (
	retryUnavailable = 5 * time.Second
	retryBusy        = 2 * time.Second
)

func badRequest(message string) *failure {
	return &failure{
		status: http.StatusBadRequest, oauth: "invalid_request", code: CodeUnsupported,
		message: message, err: errors.New(message),
	}
}

func unauthorized(message string, err error) *failure {
	return &failure{
		status: http.StatusUnauthorized, oauth: "invalid_grant", code: CodeUnauthorized,
		message: message, err: err,
	}
}

func unavailable(err error) *failure {
	return &failure{
		status: http.StatusServiceUnavailable, oauth: "temporarily_unavailable", code: CodeUnavailable,
		message: "the registry's gateway can't check or issue credentials now; try again in a moment", retryAfter: retryUnavailable, err: err,
	}
}

func tooMany(message string, wait time.Duration, err error) *failure {
	return &failure{
		status: http.StatusTooManyRequests, oauth: "temporarily_unavailable", code: CodeTooManyRequests,
		message: message, retryAfter: wait, err: err,
	}
}

// refusal says how an authentication error is answered. All that is wrong with
// an account looks the same, so that nobody learns which accounts exist.
func refusal(err error) *failure {
	var throttled *authn.ThrottledError
	switch {
	case errors.As(err, &throttled):
		return tooMany("too many failed logins; wait, and check the user name and the secret", throttled.RetryAfter, err)
	case errors.Is(err, authn.ErrBusy):
		return tooMany("too many logins at once; try again in a moment", retryBusy, err)
	case errors.Is(err, authn.ErrUnavailable):
		return unavailable(err)
	case errors.Is(err, authn.ErrMalformed):
		f := badRequest("the Authorization header is malformed")
		f.err = err
		return f
	case errors.Is(err, authn.ErrUnconfirmed):
		return unauthorized("your identity provider has not confirmed your account for too long; sign in with the browser again", err)
	case errors.Is(err, authn.ErrExpired):
		return unauthorized("the credential has expired; get a new one", err)
	}
	if errors.As(err, new(*authn.PasswordsOffError)) {
		return unauthorized("passwords of people are switched off here; use a token of the identity provider as the password", err)
	}
	return unauthorized("wrong user name or secret", err)
}

// fail answers with a refusal and records it.
func (x *exchange) fail(f *failure) {
	h := x.w.Header()
	if f.status == http.StatusUnauthorized && x.endpoint.Realm != nil {
		challenge := Challenge{Realm: x.endpoint.Realm(x.r), Service: x.endpoint.Service, Scope: x.requested}
		challenge.Set(h)
	}
	if f.retryAfter > 0 {
		seconds := (f.retryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	h["Pragma"] = noCache
	if f.err == nil {
		f.err = errors.New(f.message)
	}
	if !x.keycloak || !x.failKeycloak(f) {
		writeOAuthError(x.w, x.r, f.status, f.oauth, f.code, f.message)
	}
	x.record(Record{Status: f.status, Code: f.code, Err: f.err})
}
