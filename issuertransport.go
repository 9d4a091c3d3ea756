package registryauth

import (
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

var errNoCertificates = errors.New("trust_pool has no certificates")

// issuerTransport reaches an issuer, trusting the authorities of a module of
// the namespace tls.ca_pool.source or, if that is nil, the system's.
func issuerTransport(roots any) (*http.Transport, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 4, IdleConnTimeout: time.Minute}
	if roots == nil {
		return transport, nil
	}
	authority, ok := roots.(caddytls.CA)
	if !ok || authority.CertPool() == nil {
		return nil, errNoCertificates
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: authority.CertPool(), MinVersion: tls.VersionTLS12}
	return transport, nil
}
