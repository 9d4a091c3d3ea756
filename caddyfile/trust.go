package caddyfile

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// Trust is the setting of modules that connect to a service.
type Trust struct {
	// Certificate authorities for the connection. Default: those of the
	// operating system.
	CARaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`
}

var errNoCertificates = errors.New("trust_pool has no certificates")

// Roots are the certificate authorities to trust, nil for the system's.
func (t *Trust) Roots(ctx caddy.Context) (*x509.CertPool, error) {
	if t.CARaw == nil {
		return nil, nil
	}
	module, err := ctx.LoadModule(t, "CARaw")
	if err != nil {
		return nil, fmt.Errorf("loading trust_pool: %w", err)
	}
	authority, ok := module.(caddytls.CA)
	if !ok || authority.CertPool() == nil {
		return nil, errNoCertificates
	}
	return authority.CertPool(), nil
}

// Transport reaches the service.
func (t *Trust) Transport(ctx caddy.Context) (*http.Transport, error) {
	roots, err := t.Roots(ctx)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 4, IdleConnTimeout: time.Minute}
	if roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return transport, nil
}
