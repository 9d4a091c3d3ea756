package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestForwardedClient(t *testing.T) {
	trusted := func(a netip.Addr) bool { return netip.MustParsePrefix("10.0.0.0/24").Contains(a) }
	for _, tt := range []struct {
		name   string
		values []string
		want   string
	}{
		{"nothing", nil, ""},
		{"one", []string{"192.0.2.7"}, "192.0.2.7"},
		{"appended", []string{"10.1.1.1, 192.0.2.7"}, "192.0.2.7"},
		{"through two proxies", []string{"10.1.1.1, 192.0.2.7, 10.0.0.3"}, "192.0.2.7"},
		{"two headers", []string{"10.1.1.1", "192.0.2.7,10.0.0.3"}, "192.0.2.7"},
		{"a port", []string{"192.0.2.7:4711"}, "192.0.2.7"},
		{"IPv6", []string{"10.1.1.1,2001:db8::7"}, "2001:db8::7"},
		{"IPv6 with a port", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"IPv6 in brackets", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"a zone", []string{"fe80::7%eth0"}, "fe80::7"},
		{"mapped IPv4", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		{"mapped proxy", []string{"192.0.2.7, ::ffff:10.0.0.3"}, "192.0.2.7"},
		{"trusted only", []string{"10.0.0.7, 10.0.0.8"}, ""},
		{"no address", []string{"10.1.1.1, unix:"}, unknownClient},
		{"empty at the end", []string{"10.1.1.1,"}, unknownClient},
		{"no address before", []string{"nonsense, 192.0.2.7"}, "192.0.2.7"},
	} {
		h := http.Header{"X-Forwarded-For": tt.values}
		if got := forwardedClient(h, []string{"X-Forwarded-For"}, trusted); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	h := http.Header{"X-Real-Ip": {"192.0.2.7"}, "X-Forwarded-For": {"10.1.1.1"}}
	if got := forwardedClient(h, []string{"X-Real-Ip", "X-Forwarded-For"}, trusted); got != "192.0.2.7" {
		t.Errorf("the first header counts: %q", got)
	}
}

func TestAdmit(t *testing.T) {
	for _, tt := range []struct {
		name, method, host, body string
		header                   http.Header
		admit, route, actor      int
	}{
		{name: "plain", method: "GET", host: "registry.example.com"},
		{name: "push", method: "POST", host: "registry.example.com:5000", body: "x"},
		{name: "no host", method: "GET", host: "", admit: 400, route: 400, actor: 400},
		{name: "odd host", method: "GET", host: `a"b`, admit: 400, route: 400, actor: 400},
		{name: "body of a GET", method: "GET", host: "r", body: "GET / HTTP/1.1\r\n", admit: 400, route: 400, actor: 400},
		{name: "body of a HEAD", method: "HEAD", host: "r", body: "x", admit: 400, route: 400, actor: 400},
		{name: "early write", method: "PUT", host: "r", header: http.Header{"Early-Data": {"1"}}, route: 425, actor: 425},
		{name: "early read", method: "GET", host: "r", header: http.Header{"Early-Data": {"1"}}},
		{name: "another site", method: "POST", host: "r", header: http.Header{"Origin": {"https://evil.example"}}, actor: 403},
		{name: "a handshake of another site", method: "GET", host: "r", header: http.Header{"Origin": {"https://evil.example"}, "Upgrade": {"websocket"}}, actor: 403},
	} {
		for _, check := range []struct {
			name string
			f    func(*http.Request) error
			want int
		}{{"Admit", Admit, tt.admit}, {"AdmitRoute", AdmitRoute, tt.route}, {"AdmitActor", AdmitActor, tt.actor}} {
			r := httptest.NewRequestWithContext(t.Context(), tt.method, "/", strings.NewReader(tt.body))
			r.Host = tt.host
			if tt.header != nil {
				r.Header = tt.header
			}
			got := 0
			if err := check.f(r); err != nil {
				got = AdmissionAnswer(err).Status
			}
			if got != check.want {
				t.Errorf("%s, %s: %d, want %d", tt.name, check.name, got, check.want)
			}
		}
	}
}
