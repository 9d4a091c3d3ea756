package gateway

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

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
