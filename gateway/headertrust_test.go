package gateway

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestHostsThatAreRepeated: every byte but those of names and addresses is
// refused, since challenges and redirects repeat the Host.
func TestHostsThatAreRepeated(t *testing.T) {
	const good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"
	for c := range 256 {
		if got, want := validHost("a"+string([]byte{byte(c)})), strings.IndexByte(good, byte(c)) >= 0; got != want {
			t.Errorf("%q: %v, want %v", byte(c), got, want)
		}
	}
	if !validHost(strings.Repeat("a", 261)) || validHost(strings.Repeat("a", 262)) || validHost("") {
		t.Error("the bounds on a host's length")
	}
}

// TestForwardedHeadersNeedATrustedProxy: what any client may write counts only
// from there.
func TestForwardedHeadersNeedATrustedProxy(t *testing.T) {
	for _, tt := range []struct {
		name, proto, host string
		trusted, tls      bool
		want              string
		refused           bool
	}{
		{name: "plain", want: "http://r.example"},
		{name: "TLS", tls: true, want: "https://r.example"},
		{name: "a client's own", proto: "https", host: "evil.example", want: "http://r.example"},
		{name: "a client's own, malformed", host: `e"vil`, want: "http://r.example"},
		{name: "a proxy's", trusted: true, proto: "https", host: "front.example", want: "https://front.example"},
		{name: "a proxy's, without TLS", trusted: true, tls: true, proto: "http", want: "http://r.example"},
		{name: "several proxies'", trusted: true, proto: "https, http", host: " front.example , inner", want: "https://front.example"},
		{name: "another protocol", trusted: true, proto: "javascript", want: "http://r.example"},
		{name: "malformed", trusted: true, host: `e"vil`, refused: true, want: `http://e"vil`},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://r.example/v2/", nil)
		ctx := r.Context()
		vars := map[string]any{caddyhttp.TrustedProxyVarKey: tt.trusted}
		r = r.WithContext(contextWithVars(ctx, vars))
		r.TLS = nil
		if tt.tls {
			r.TLS = &tls.ConnectionState{HandshakeComplete: true}
		}
		if tt.proto != "" {
			r.Header.Set("X-Forwarded-Proto", tt.proto)
		}
		if tt.host != "" {
			r.Header.Set("X-Forwarded-Host", tt.host)
		}
		if got := RequestBase(r); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if err := Admit(r); (err != nil) != tt.refused {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestClientAddr(t *testing.T) {
	for _, tt := range []struct{ peer, said, want string }{
		{"192.0.2.1:80", "", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:80", "", "192.0.2.1"},
		{"192.0.2.1:80", "198.51.100.7", "198.51.100.7"},
		{"192.0.2.1:80", "::ffff:198.51.100.7", "198.51.100.7"},
		{"192.0.2.1:80", unknownClient, "invalid IP"},
		{"@", "", "invalid IP"},
		{"name:80", "", "invalid IP"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = tt.peer
		vars := map[string]any{}
		if tt.said != "" {
			vars[caddyhttp.ClientIPVarKey] = tt.said
		}
		r = r.WithContext(contextWithVars(r.Context(), vars))
		if got := ClientAddr(r).String(); got != tt.want {
			t.Errorf("%v: %s", tt, got)
		}
		peer := "192.0.2.1"
		if !strings.Contains(tt.peer, peer) {
			peer = netip.Addr{}.String()
		}
		if got := peerAddr(r).String(); got != peer {
			t.Errorf("%v: peer %s", tt, got)
		}
	}
}

// TestNothingIsSaidToSharedCaches, in whichever header.
func TestNothingIsSaidToSharedCaches(t *testing.T) {
	for _, tt := range []struct {
		given []string
		want  string
	}{
		{nil, "private"},
		{[]string{"public, max-age=60"}, "private, max-age=60"},
		{[]string{"max-age=60", "S-MaxAge=9, no-transform"}, "private, max-age=60, no-transform"},
		{[]string{" Public ,s-maxage =1,proxy-revalidate,stale-while-revalidate=1,stale-if-error=1,,private=\"x\""}, "private"},
		{[]string{"no-store"}, "private, no-store"},
	} {
		h := http.Header{
			"Surrogate-Control": {"x"}, "X-Accel-Expires": {"1"}, "Edge-Control": {"x"}, "Edge-Cache-Control": {"x"},
			"Cdn-Cache-Control": {"x"}, "Cloudflare-Cdn-Cache-Control": {"x"}, "Etag": {"x"},
		}
		if tt.given != nil {
			h["Cache-Control"] = tt.given
			h["Vary"] = []string{"Accept"}
		}
		keepPrivate(h)
		if got := strings.Join(h["Cache-Control"], "|"); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.given, got, tt.want)
		}
		vary := "Authorization, Cookie"
		if tt.given != nil {
			vary = "Accept, Authorization, Cookie"
		}
		if got := strings.Join(h["Vary"], "|"); got != vary {
			t.Errorf("Vary: %q", got)
		}
		var names []string
		for name := range h {
			names = append(names, name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != "Cache-Control Etag Vary" {
			t.Errorf("kept %s", got)
		}
	}
}
