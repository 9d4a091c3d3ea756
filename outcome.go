package registryauth

import (
	"errors"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// outcome is how a request ended, for log lines and metrics.
type outcome uint8

const (
	outcomeAllowed         outcome = iota
	outcomeUnauthenticated         // no credential where one is needed
	outcomeInvalid                 // a credential that does not hold
	outcomeDenied                  // a good one that may not do this
	outcomeMalformed               // not a request of the specification
	outcomeThrottled
	outcomeUnavailable
	outcomes // how many there are
)

var outcomeNames = [outcomes]string{"allowed", "unauthenticated", "invalid_credential", "denied", "malformed", "throttled", "unavailable"}

func (o outcome) String() string { return outcomeNames[o] }

// routeOutcome sorts what was decided beside the registry API.
func routeOutcome(refusal *routeRefusal) outcome {
	switch {
	case refusal == nil:
		return outcomeAllowed
	case refusal.status == http.StatusForbidden:
		return outcomeDenied
	case refusal.status == http.StatusTooManyRequests:
		return outcomeThrottled
	case refusal.status == http.StatusServiceUnavailable:
		return outcomeUnavailable
	case errors.Is(refusal.err, errNotSignedIn):
		return outcomeUnauthenticated
	case refusal.status == http.StatusUnauthorized:
		return outcomeInvalid
	}
	return outcomeMalformed
}

// tokenOutcome sorts what the token endpoint did.
func tokenOutcome(t tokenendpoint.Record) outcome {
	switch {
	case t.Status == http.StatusOK:
		return outcomeAllowed
	case t.Status == http.StatusTooManyRequests:
		return outcomeThrottled
	case t.Status == http.StatusServiceUnavailable:
		return outcomeUnavailable
	case t.Status == http.StatusUnauthorized && t.Principal == nil:
		return outcomeInvalid
	case t.Status == http.StatusUnauthorized:
		return outcomeUnauthenticated
	}
	return outcomeMalformed
}
