package tokenendpoint

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
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

// unavailable is a failure of this side that passes.
func unavailable(err error) *failure { return asFailure(answer.Unchecked.Of(), err) }

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
