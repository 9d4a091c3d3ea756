package registryauth

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// credential is what a request shows of who sends it.
func (run *running) credential(r *http.Request) (*authn.Credential, error) {
	c, err := authn.FromHeader(r.Header, clientAddr(r))
	if err != nil {
		return nil, err
	}
	c.Evidence = run.evidence(r)
	return c, nil
}

// evidence is what a request shows besides its Authorization header; nil where
// no authenticator of the realm looks at it.
func (run *running) evidence(r *http.Request) *authn.Evidence {
	if !run.chain.WantsEvidence() {
		return nil
	}
	return requestEvidence(r)
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
