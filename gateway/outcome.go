package gateway

import (
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
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

// RouteRefusal is why a request to a route beside the registry API ends here.
type RouteRefusal struct {
	Status     int
	RetryAfter time.Duration
	Err        error // safe for logs
}

// ErrNotSignedIn is why a route is refused where a credential is needed and
// none is shown.
var ErrNotSignedIn = errors.New("not signed in")

// routeOutcome sorts what was decided beside the registry API.
func routeOutcome(refusal *RouteRefusal) outcome {
	switch {
	case refusal == nil:
		return outcomeAllowed
	case errors.Is(refusal.Err, ErrNotSignedIn):
		return outcomeUnauthenticated
	}
	return statusOutcome(refusal.Status)
}

// tokenOutcome sorts what the token endpoint did.
func tokenOutcome(t tokenendpoint.Record) outcome {
	switch {
	case t.Status == http.StatusOK:
		return outcomeAllowed
	case t.Status == http.StatusUnauthorized && t.Principal != nil:
		return outcomeUnauthenticated
	}
	return statusOutcome(t.Status)
}

// statusOutcome sorts a refusal by its status.
func statusOutcome(status int) outcome {
	switch {
	case status == http.StatusForbidden:
		return outcomeDenied
	case status == http.StatusTooManyRequests:
		return outcomeThrottled
	case status >= http.StatusInternalServerError:
		return outcomeUnavailable
	case status == http.StatusUnauthorized:
		return outcomeInvalid
	}
	return outcomeMalformed
}

// tracerName is the instrumentation scope of the spans.
const tracerName = "github.com/caddy-registry-auth/caddy-registry-auth"

// startSpan begins a span for parsing, authenticating and deciding, below the
// one that Caddy's `tracing` handler has put into the request's context. It
// ends with the decision: what follows is the proxy's.
func (x *exchange) startSpan() {
	if parent := trace.SpanFromContext(x.r.Context()); parent.IsRecording() {
		_, x.span = parent.TracerProvider().Tracer(tracerName).Start(x.r.Context(), "registry_auth")
	}
}

func (x *exchange) endSpan(o outcome) {
	if x.span == nil {
		return
	}
	x.span.SetAttributes(principalAttributes(x.principal)...)
	x.span.SetAttributes(
		attribute.String("registry.action", x.request.Action().String()),
		attribute.String("registry.repository", x.request.Repository),
		attribute.String("registry.decision", o.String()))
	x.span.End()
	x.span = nil
}

// tokenSpan notes on Caddy's own span what the token endpoint did.
func tokenSpan(r *http.Request, t tokenendpoint.Record, o outcome) {
	if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
		span.SetAttributes(principalAttributes(t.Principal)...)
		span.SetAttributes(attribute.String("registry.decision", o.String()))
	}
}

func principalAttributes(p *authn.Principal) []attribute.KeyValue {
	if p == nil {
		return nil
	}
	return []attribute.KeyValue{attribute.String("registry.principal", p.String())}
}
