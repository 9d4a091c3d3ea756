package tokenendpoint

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"
)

// Where the token endpoint and the keys are if nothing else is configured.
// All are below /v2, so that one route of the server leads to all of it.
const (
	DefaultPath             = "/v2/token"
	DefaultJWKSPath         = "/v2/token/jwks"
	DefaultCertificatesPath = "/v2/token/certificates"
)

// minLifetime is what Docker takes a shorter lifetime for.
const minLifetime = time.Minute

// Config is the configuration of the token endpoint, as it stands in a file.
type Config struct {
	// How long a registry token is valid. Default: 5m; at least 1m. What a
	// token allows is checked again with each use, so that a longer lifetime
	// doesn't delay a withdrawal; a shorter one makes clients ask more often.
	Lifetime Duration `json:"lifetime,omitempty"`

	// The signature algorithm: `ES256` (the default), `RS256`, or `EdDSA`.
	// It only matters to registries that verify the tokens themselves.
	Algorithm Algorithm `json:"algorithm,omitempty"`

	// How the key id in tokens and in the key set is computed: `thumbprint`
	// (RFC 7638; the default, and what Distribution 3 computes) or `libtrust`
	// (what Distribution 2 computes).
	KeyID KeyIDFormat `json:"key_id,omitempty"`

	// Puts the certificate of the signing key into each token, for registries
	// that are configured with a `rootcertbundle`.
	X5C bool `json:"x5c,omitempty"`

	// The issuer of the tokens. Default: the service name. A registry that
	// verifies tokens itself has to be configured with the same.
	Issuer string `json:"issuer,omitempty"`

	// Further service names that clients may ask tokens for. A token is for
	// the service that was asked for.
	ServiceAliases []string `json:"service_aliases,omitempty"`

	// The paths of the token endpoint. The first one is what challenges name;
	// the others serve clients and registries that were set up for another
	// token server. Default: `/v2/token`.
	Paths []string `json:"paths,omitempty"`

	// The path of the public key set (JWKS). Default: `/v2/token/jwks`.
	JWKSPath string `json:"jwks_path,omitempty"`

	// The path of the signing certificates as PEM, for registries that are
	// configured with a `rootcertbundle`. Default: `/v2/token/certificates`.
	CertificatesPath string `json:"certificates_path,omitempty"`

	// The absolute URL of the token endpoint that challenges name, where it is
	// served on a host of its own. Default: the first path, on the registry's
	// own host.
	URL string `json:"url,omitempty"`

	// How long a key signs before the next one takes over. Default: 90d;
	// a negative value turns rotation off.
	RotateEvery Duration `json:"rotate_every,omitempty"`
}

// Complete fills in the defaults and checks the rest. The service is the
// registry's name.
func (c *Config) Complete(service string) error {
	if service == "" {
		return errors.New("service: name is empty")
	}
	setDefault(&c.Lifetime, Duration(DefaultLifetime))
	setDefault(&c.Algorithm, ES256)
	setDefault(&c.KeyID, KeyIDThumbprint)
	setDefault(&c.Issuer, service)
	setDefault(&c.JWKSPath, DefaultJWKSPath)
	setDefault(&c.CertificatesPath, DefaultCertificatesPath)
	setDefault(&c.RotateEvery, Duration(DefaultRotateEvery))
	if len(c.Paths) == 0 {
		c.Paths = []string{DefaultPath}
	}
	if time.Duration(c.Lifetime) < minLifetime || time.Duration(c.Lifetime) > maxLifetime {
		return fmt.Errorf("lifetime %s: want %s to %s", c.Lifetime, minLifetime, maxLifetime)
	}
	seen := make(map[string]bool)
	for _, p := range append([]string{c.JWKSPath, c.CertificatesPath}, c.Paths...) {
		if err := checkPath(p); err != nil {
			return err
		}
		if seen[p] {
			return fmt.Errorf("path %q: used twice", p)
		}
		seen[p] = true
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "") {
		return fmt.Errorf("url %q: want an absolute URL such as https://auth.example.com%s", c.URL, DefaultPath)
	}
	for _, alias := range c.ServiceAliases {
		if alias == "" {
			return errors.New("service_alias: name is empty")
		}
	}
	_, err := c.KeyConfig().withDefaults()
	return err
}

// maxLifetime bounds what a token without live checks, in the hands of a
// registry that verifies it itself, can do after it was withdrawn.
const maxLifetime = 24 * time.Hour

// KeyConfig returns what the configuration says about keys.
func (c *Config) KeyConfig() KeyConfig {
	return KeyConfig{
		Algorithm: c.Algorithm, KeyID: c.KeyID, X5C: c.X5C,
		RotateEvery: time.Duration(c.RotateEvery), Lifetime: time.Duration(c.Lifetime),
	}
}

// checkPath takes the path of an endpoint: absolute, canonical, and nothing
// that has to be encoded in a URL.
func checkPath(p string) error {
	if !strings.HasPrefix(p, "/") || p == "/" || path.Clean(p) != p || strings.ContainsAny(p, "%?#*{}\"\\ \t\r\n") {
		return fmt.Errorf("path %q: want an absolute path such as %s", p, DefaultPath)
	}
	return nil
}
