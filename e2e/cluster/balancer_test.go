package cluster

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// balancer is what people reach the gateways by: one address, behind which the
// test chooses who answers.
type balancer struct {
	URL string
	to  atomic.Pointer[node]
	// callback is the provider's answer that a browser has brought last.
	callback atomic.Pointer[http.Request]
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	b := new(balancer)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		to, err := url.Parse(b.to.Load().URL)
		if err != nil {
			panic(err)
		}
		if strings.HasPrefix(r.In.URL.Path, "/auth/callback") {
			b.callback.Store(r.In)
		}
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(proxy.ServeHTTP))
	t.Cleanup(server.Close)
	b.URL = server.URL
	return b
}
