package registryauth

import (
	"crypto/tls"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

var errNoCertificates = errors.New("trust_pool has no certificates")

// issuerTransport reaches an issuer, trusting the authorities of a module of
// the namespace tls.ca_pool.source or, if that is nil, the system's.
func issuerTransport(roots any) (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if roots == nil {
		return transport, nil
	}
	pool := roots.(caddytls.CA).CertPool()
	if pool == nil {
		return nil, errNoCertificates
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}
