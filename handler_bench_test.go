package registryauth_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// BenchmarkHandler measures what the handler adds to a request: everything
// but the proxying. Making the request is measured as "baseline".
func BenchmarkHandler(b *testing.B) {
	for name, audit := range map[string]string{"audit all": "all", "audit refusals": "refusals"} {
		b.Run(name, func(b *testing.B) { benchmarkHandler(b, "audit "+audit+"\n") })
	}
}

func benchmarkHandler(b *testing.B, extra string) {
	g := startGateway(b, standardRealm+extra)
	token := g.token("repository:team/app:pull", basic("robot$ci", g.robot))
	h := g.handler()
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	header := http.Header{"Authorization": {"Bearer " + token}, "Accept": {"*/*"}, "User-Agent": {"docker/28"}}
	w := httptest.NewRecorder()
	request := func() *http.Request {
		q := httptest.NewRequest(http.MethodGet, manifest, nil)
		q.Header = maps.Clone(header)
		return caddyhttp.PrepareRequest(q, caddy.NewEmptyReplacer(), w, nil)
	}
	b.Run("baseline", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = next.ServeHTTP(w, request())
		}
	})
	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = h.ServeHTTP(w, request(), next)
		}
	})
}
