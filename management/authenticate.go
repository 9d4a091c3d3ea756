package management

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	answers "github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/admission"
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

// admitted refuses what a page of another site or a replay sends, before
// anybody looks at the credential: browsers send passwords, certificates and
// cookies by themselves.
func admitted(r *http.Request) error {
	if err := admission.Check(r); err != nil {
		return AsError(err)
	}
	return nil
}

// checkMedia refuses a body that is not said to be JSON. What creates or
// changes something says so also without a body: forms of other sites cannot
// send that type, whichever browser it is.
func checkMedia(r *http.Request) error {
	given := r.Header.Get("Content-Type")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return nil
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		if given == "" && r.ContentLength == 0 {
			return nil
		}
	}
	switch media, _, err := mime.ParseMediaType(given); {
	case err == nil && (media == "application/json" || media == "application/merge-patch+json"):
		return nil
	case r.ContentLength == 0:
		return fail(CodeUnsupportedMedia, "want Content-Type: application/json, also without a body")
	}
	return fail(CodeUnsupportedMedia, "want Content-Type: application/json")
}

// proven refuses changes without an Authorization header unless the request
// itself proves that a page of another site cannot have sent it: the browser
// says so, or there is X-CSRF-Protection, which no page of another site can
// send unasked.
func proven(r *http.Request) error {
	if !admission.Changes(r) {
		return nil
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" && r.Header.Get("X-CSRF-Protection") == "" {
		return AsError(authn.ErrCrossSite)
	}
	return nil
}

// sentByBrowser reports whether a browser has sent the credential by itself:
// all of them but bearer tokens, which scripts have to know.
func sentByBrowser(r *http.Request) bool {
	return (r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "") && bearer(r.Header["Authorization"]) == ""
}
