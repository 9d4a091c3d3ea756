// Package admission has the checks that a request has to pass before anybody
// looks at its credential. They are the same for every endpoint and every
// route: whatever a browser or a replay can make a credential do, it can make
// each kind of credential do.
package admission

import (
	"errors"
	"net/http"
	"strings"
)

var (
	// ErrCrossSite: a browser says that a page of another site sends the
	// request.
	ErrCrossSite = errors.New("a page of another site sends the request (Sec-Fetch-Site, Origin)")
	// ErrTooEarly: the request came before the TLS handshake was over, so that
	// somebody on the way could send it a second time (RFC 8470).
	ErrTooEarly = errors.New("the request was sent as TLS early data, which can be replayed")
)

// Check refuses a request that changes something, or opens a connection that
// can, unless it is fresh and no page of another site sends it. Clients that
// are no browsers send neither Sec-Fetch-Site nor Origin and pass. The
// credential does not matter: browsers also send passwords and certificates
// without being asked by a person.
func Check(r *http.Request) error {
	if err := Fresh(r); err != nil {
		return err
	}
	return SameSite(r)
}

// Fresh returns [ErrTooEarly] for a change in TLS early data: of our own
// connection, or of a proxy's in front of us, which says so (RFC 8470 §5.1).
func Fresh(r *http.Request) error {
	early := r.TLS != nil && !r.TLS.HandshakeComplete || len(r.Header["Early-Data"]) > 0
	if early && Changes(r) {
		return ErrTooEarly
	}
	return nil
}

// SameSite returns [ErrCrossSite] for a change that a page of another site
// sends, a neighbour under the same domain included.
func SameSite(r *http.Request) error {
	if !Changes(r) {
		return nil
	}
	// A handshake is a GET, which the standard library's check would let pass.
	asked := http.Request{Method: http.MethodPost, Header: r.Header, Host: r.Host, URL: r.URL}
	if origin.Check(&asked) != nil {
		return ErrCrossSite
	}
	return nil
}

var origin = http.NewCrossOriginProtection()

// Changes reports whether a request may change something: by its method, or
// since it asks for another protocol, over which anything can follow.
func Changes(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return Upgrades(r)
	}
	return true
}

// Upgrades reports whether a request asks for another protocol, as a
// WebSocket's handshake does.
func Upgrades(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return true
	}
	if len(r.Header["Upgrade"]) > 0 {
		return true
	}
	for _, value := range r.Header["Connection"] {
		for option := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(option), "upgrade") {
				return true
			}
		}
	}
	return false
}
