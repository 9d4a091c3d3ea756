package registryauth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/caddy-registry-auth/caddy-registry-auth/handlers"
)

func TestDecisionHasASpan(t *testing.T) {
	g := startGateway(t, standardRealm)
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	ctx, parent := provider.Tracer("test").Start(t.Context(), "request")
	request := httptest.NewRequest(http.MethodPut, manifest, nil).WithContext(ctx)
	request.SetBasicAuth("robot-ci", g.robot)
	w := httptest.NewRecorder()
	request = caddyhttp.PrepareRequest(request, caddy.NewEmptyReplacer(), w, nil)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		if len(spans.Ended()) != 1 {
			t.Error("the span does not end with the decision")
		}
		return nil
	})
	if err := g.handler().ServeHTTP(w, request, next); err != nil {
		t.Fatal(err)
	}
	parent.End()
	got := map[string]string{}
	for _, a := range spans.Ended()[0].Attributes() {
		got[string(a.Key)] = a.Value.AsString()
	}
	for key, want := range map[string]string{
		"registry.principal": "robot:ci", "registry.action": "push", "registry.repository": "team/app", "registry.decision": "allowed",
	} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
}

// handler is the gateway's own handler, out of its route.
func (g *gateway) handler() caddyhttp.MiddlewareHandler {
	g.t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		if h := handlerIn(server.Routes); h != nil {
			return h
		}
	}
	g.t.Fatal("no registry_auth handler")
	return nil
}

func handlerIn(routes caddyhttp.RouteList) caddyhttp.MiddlewareHandler {
	for _, route := range routes {
		for _, h := range route.Handlers {
			switch h := h.(type) {
			case *handlers.Handler:
				return h
			case *caddyhttp.Subroute:
				if found := handlerIn(h.Routes); found != nil {
					return found
				}
			}
		}
	}
	return nil
}
