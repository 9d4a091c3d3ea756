package portal

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// pageError is why a page is not shown, in words for people.
type pageError struct {
	status      int
	code        string // for programs
	title, text string
	again       bool // signing in again may help
}

func (e *pageError) Error() string { return e.title }

var (
	errNotFound  = &pageError{http.StatusNotFound, "not-found", txtNotFoundTitle, txtNotFound, false}
	errSignIn    = &pageError{http.StatusUnauthorized, "unauthenticated", txtSignInFirst, txtSignInFirst, true}
	errCrossSite = &pageError{http.StatusForbidden, "cross-site", txtCrossSiteTitle, txtCrossSite, false}
	errTooEarly  = &pageError{http.StatusTooEarly, "too-early", txtCrossSiteTitle, txtTooEarly, false}
	errForm      = &pageError{http.StatusBadRequest, "malformed", txtFormTitle, txtForm, false}
	errStale     = &pageError{http.StatusBadRequest, "stale", txtStaleTitle, txtStale, true}
	errHost      = &pageError{http.StatusMisdirectedRequest, "unknown-host", txtHostTitle, txtHost, false}
	errPlain     = &pageError{http.StatusMisdirectedRequest, "https-needed", txtPlainTitle, txtPlain, false}
)

// providerError is why signing in at a provider did not work.
type providerError struct {
	provider *provider
	err      error
}

func (e *providerError) Error() string {
	return "signing in at " + e.provider.name + ": " + e.err.Error()
}

func (e *providerError) Unwrap() error { return e.err }

// answerError is the provider's refusal (RFC 6749 §4.1.2.1).
type answerError struct{ code, description string }

func (e *answerError) Error() string {
	return fmt.Sprintf("the provider answers %.60q: %.200q", e.code, e.description)
}

// page returns what people are told about an error.
func (e *providerError) page() *pageError {
	answered := new(answerError)
	name := e.provider.name
	switch {
	case errors.As(e.err, &answered) && answered.code == "access_denied":
		return &pageError{http.StatusForbidden, "access-denied", txtCancelledTitle, fmt.Sprintf(txtCancelled, name), true}
	case errors.As(e.err, &answered):
		return &pageError{http.StatusBadRequest, "provider-refused", txtRefusedTitle, fmt.Sprintf(txtRefused, name), true}
	}
	switch answer.Of(e.err).Kind {
	case answer.Unchecked:
		return &pageError{http.StatusServiceUnavailable, "provider-away", fmt.Sprintf(txtAwayTitle, name), txtAway, true}
	case answer.Disabled:
		return &pageError{http.StatusForbidden, "not-admitted", txtNotAdmittedTitle, fmt.Sprintf(txtNotAdmitted, name), true}
	case answer.Invalid, answer.Expired, answer.Unconfirmed:
		return &pageError{http.StatusForbidden, "sign-in-failed", txtFailedTitle, fmt.Sprintf(txtFailed, name), true}
	}
	return asPage(e.err)
}

// fail answers with an error: a page for people, JSON for programs.
func (p *Portal) fail(x *exchange, err error) {
	var from *providerError
	if again := (*mended)(nil); errors.As(err, &again) {
		if err = again.show(again.problem); err == nil {
			return
		}
	}
	e := new(pageError)
	switch {
	case errors.As(err, &from):
		e = from.page()
	case !errors.As(err, &e):
		e = asPage(err)
	}
	if e.status >= 500 {
		p.options.Log.Error("a page cannot be shown", "path", x.r.URL.Path, "error", err)
	}
	answer.SetRetryAfter(x.w.Header(), management.AsError(err).RetryAfter)
	if !navigates(x.r) {
		x.w.Header().Set("Content-Type", "application/json")
		x.w.WriteHeader(e.status)
		_ = json.NewEncoder(x.w).Encode(map[string]string{"error": e.code, "error_description": e.text})
		return
	}
	if e == errSignIn {
		back := ""
		if x.r.Method == http.MethodGet {
			back = "?return_to=" + url.QueryEscape(x.r.URL.RequestURI())
		}
		http.Redirect(x.w, x.r, x.path("sign-in")+back, http.StatusSeeOther)
		return
	}
	x.showError(e)
}

// asPage says in words for people why an operation was not done.
func asPage(err error) *pageError {
	e, found := errors.AsType[*management.Error](err)
	if !found {
		if answer.Of(err).Kind == answer.Disabled {
			return &pageError{http.StatusForbidden, "disabled", txtDisabledTitle, txtDisabled, false}
		}
		e = management.AsError(err)
	}
	if page := managementPage(e); page != nil {
		return page
	}
	return &pageError{http.StatusInternalServerError, "internal", txtInternalTitle, txtInternal, false}
}
