package management

import (
	"mime"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/admission"
)

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
