package management

import (
	"errors"
	"net/http"
	"strings"

	answers "github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// caller says who sends a request.
func (a *API) caller(r *http.Request) (*Caller, error) {
	remote := a.remote(r)
	if a.options.Local != nil {
		who := *a.options.Local
		who.Remote, who.Agent, who.RequestID = remote, r.UserAgent(), a.requestID(r)
		return &who, nil
	}
	header := r.Header["Authorization"]
	if len(header) > 1 {
		return nil, fail(CodeUnauthenticated, "Authorization is given %d times", len(header))
	}
	var who *Caller
	var err error
	if secret := shownSecret(r); secret != "" {
		if who, err = a.manager.KeyCaller(secret, remote); err != nil {
			return nil, err
		}
	}
	if who == nil {
		if who, err = a.principal(r); err != nil {
			return nil, err
		}
		if len(header) == 0 {
			// What a browser sends by itself is no proof that a person wants it.
			if err := proven(r); err != nil {
				return nil, err
			}
		}
		who.browser = who.browser || sentByBrowser(r)
	}
	who.Remote, who.Agent, who.RequestID = remote, r.UserAgent(), a.requestID(r)
	if who.kind != "" {
		a.manager.state.Used(who.kind, who.actor.ID, remote, who.Agent)
	}
	return who, nil
}

func (a *API) principal(r *http.Request) (*Caller, error) {
	p, err := a.options.Authenticate(r)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			return nil, e
		}
		return nil, answered(answers.OfCredential(err), err)
	}
	return a.manager.Caller(p)
}

// shownSecret returns what may be a key: the bearer token, or the password of
// Basic, which is all that some tools know.
func shownSecret(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	return bearer(r.Header["Authorization"])
}

// bearer returns the token of an Authorization header, if it is one.
func bearer(header []string) string {
	if len(header) == 0 {
		return ""
	}
	scheme, secret, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, string(authn.SchemeBearer)) || len(secret) > authn.MaxCredential {
		return ""
	}
	return strings.TrimSpace(secret)
}
