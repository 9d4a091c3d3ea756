package authn

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/netip"
)

// Evidence is what a request shows besides its Authorization header. It is
// read-only and belongs to the request.
type Evidence struct {
	// Method and Header are those of the request.
	Method string
	Header http.Header

	// Certificate is the client's, verified by the server against the
	// authorities that it trusts for clients (RFC 8446 §4.4.2); nil if there
	// is none. Certificates that were only asked for and not verified are
	// never here.
	Certificate *x509.Certificate

	// Chains are the ways in which it was verified, each from Certificate to
	// an authority.
	Chains [][]*x509.Certificate

	// Peer is the address of the machine that opened the connection, which
	// may be a proxy's; Trusted says that the server counts it among its
	// trusted proxies.
	Peer    netip.Addr
	Trusted bool
}

// Ambient is implemented by authenticators that may know who sends a request
// which has no Authorization header: by a client certificate, the headers of a
// trusted proxy, or a session cookie. A [Chain] asks them, in its order, only
// where there is no such header.
type Ambient interface {
	// AuthenticateAmbient returns the principal that c.Evidence proves,
	// [ErrNotMine] if there is nothing of its kind, or another error as
	// [Authenticator.Authenticate] does. c.Evidence is never nil.
	AuthenticateAmbient(ctx context.Context, c *Credential) (*Principal, error)
}

// RoleSource is implemented by authenticators that know roles of whoever sends
// a request, however that principal proved itself.
type RoleSource interface {
	// AmbientRoles returns the roles that the evidence, which may be nil,
	// gives. It is asked for every request and must not block.
	AmbientRoles(e *Evidence) ([]string, error)
}
