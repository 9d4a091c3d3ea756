package gateway

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

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
