package admission

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCheck(t *testing.T) {
	h := func(pairs ...string) http.Header {
		headers := http.Header{}
		for i := 0; i+1 < len(pairs); i += 2 {
			headers.Add(pairs[i], pairs[i+1])
		}
		return headers
	}
	basic := "Basic YWxpY2U6cHc="
	for _, test := range []struct {
		name, method string
		header       http.Header
		early        bool
		want         error
	}{
		{"a program", "POST", nil, false, nil},
		{"a program with a password", "DELETE", h("Authorization", basic), false, nil},
		{"a page of this host", "POST", h("Sec-Fetch-Site", "same-origin"), false, nil},
		{"a page of this host, over http", "POST", h("Origin", "http://registry.example.com"), false, nil},
		{"typed in", "POST", h("Sec-Fetch-Site", "none"), false, nil},
		{"another site", "POST", h("Sec-Fetch-Site", "cross-site"), false, ErrCrossSite},
		{"another site with a password", "POST", h("Sec-Fetch-Site", "cross-site", "Authorization", basic), false, ErrCrossSite},
		{"another site with a token", "PUT", h("Sec-Fetch-Site", "cross-site", "Authorization", "Bearer x"), false, ErrCrossSite},
		{"a neighbour", "DELETE", h("Sec-Fetch-Site", "same-site"), false, ErrCrossSite},
		{"another site says it is this one", "POST", h("Sec-Fetch-Site", "cross-site", "Origin", "https://registry.example.com"), false, ErrCrossSite},
		{"another origin", "PATCH", h("Origin", "https://evil.example"), false, ErrCrossSite},
		{"another port", "PATCH", h("Origin", "http://registry.example.com:8080"), false, ErrCrossSite},
		{"an origin that is hidden", "POST", h("Origin", "null"), false, ErrCrossSite},
		{"an unknown method", "PURGE", h("Sec-Fetch-Site", "cross-site"), false, ErrCrossSite},
		{"an odd value", "POST", h("Sec-Fetch-Site", "SAME-ORIGIN"), false, ErrCrossSite},
		{"reading from another site", "GET", h("Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"), false, nil},

		{"WebSocket of this host", "GET", h("Connection", "Upgrade", "Upgrade", "websocket", "Origin", "https://registry.example.com"), false, nil},
		{"WebSocket of a program", "GET", h("Connection", "Upgrade", "Upgrade", "websocket"), false, nil},
		{"WebSocket of another site", "GET", h("Connection", "Upgrade", "Upgrade", "websocket", "Origin", "https://evil.example"), false, ErrCrossSite},
		{"WebSocket of a neighbour", "GET", h("Connection", "keep-alive, upgrade", "Sec-Fetch-Site", "same-site"), false, ErrCrossSite},
		{"WebSocket over HTTP/2", "CONNECT", h("Origin", "https://evil.example"), false, ErrCrossSite},
		{"h2c of another site", "GET", h("Upgrade", "h2c", "Origin", "https://evil.example"), false, ErrCrossSite},

		{"early read", "GET", nil, true, nil},
		{"early write", "DELETE", nil, true, ErrTooEarly},
		{"early read, as a proxy says", "HEAD", h("Early-Data", "1"), false, nil},
		{"early write, as a proxy says", "POST", h("Early-Data", "1"), false, ErrTooEarly},
		{"early write, said oddly", "POST", h("Early-Data", ""), false, ErrTooEarly},
		{"early handshake", "GET", h("Upgrade", "websocket", "Connection", "Upgrade"), true, ErrTooEarly},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "http://registry.example.com/auth/", nil)
			if test.header != nil {
				r.Header = test.header
			}
			r.TLS = &tls.ConnectionState{HandshakeComplete: !test.early}
			if got := Check(r); !errors.Is(got, test.want) || (got == nil) != (test.want == nil) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
