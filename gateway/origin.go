package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// ClientAddr is the client's address: the peer, or what a trusted proxy says,
// see [Admit]. IPv4-mapped addresses are unmapped. It is not valid if the proxy
// names none.
func ClientAddr(r *http.Request) netip.Addr {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if ip == "" {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			return netip.Addr{}
		}
		ip = host
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// fromTrustedProxy reports whether the peer is one of the server's
// trusted_proxies, whose X-Forwarded-* headers may be believed.
func fromTrustedProxy(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// RequestBase is "scheme://host" as the client sees it.
func RequestBase(r *http.Request) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if fromTrustedProxy(r) {
		if proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ","); proto == "https" || proto == "http" {
			scheme = proto
		}
		if forwarded := forwardedHost(r); forwarded != "" {
			host = forwarded
		}
	}
	return scheme + "://" + host
}

// forwardedHost is the host that a proxy in front says the client has named,
// "" if it says none. [Admit] checks it.
func forwardedHost(r *http.Request) string {
	host, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ",")
	return strings.TrimSpace(host)
}

// validHost reports whether a Host may be repeated in an answer: letters,
// digits and what addresses are made of.
func validHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return host != "" && len(host) <= 261
}

func requestEvidence(r *http.Request) *authn.Evidence {
	e := &authn.Evidence{Method: r.Method, Header: shownHeader(r), Peer: peerAddr(r), Trusted: fromTrustedProxy(r)}
	// PeerCertificates is what the client sent; only what is in VerifiedChains
	// was verified.
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && len(r.TLS.VerifiedChains[0]) > 0 {
		e.Certificate, e.Chains = r.TLS.VerifiedChains[0][0], r.TLS.VerifiedChains
	}
	return e
}

// peerAddr is the address at the other end of the connection; it is not valid
// where that is no network, such as a Unix socket.
func peerAddr(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}
