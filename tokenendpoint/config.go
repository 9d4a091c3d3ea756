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

// Bounds of a token's lifetime. Docker takes a shorter one for a minute; and
// what a registry that verifies tokens itself can be shown after a withdrawal
// has to end some day.
const (
	minLifetime = time.Minute
	maxLifetime = 24 * time.Hour
)

// Config is the configuration of the token endpoint, as it stands in a file.
type Config struct {
	// How long a registry token is valid: from `1m` to `24h`. Default: `5m`.
	// What a token allows is checked again with each use, so that a long
	// lifetime does not delay a withdrawal; a short one makes clients come
	// back more often.
	Lifetime Duration `json:"lifetime,omitempty"`

	// The signature algorithm: `ES256` (default), `RS256` or `EdDSA`. It
	// matters to registries that verify tokens themselves: Distribution 2
	// does not know `EdDSA`.
	Algorithm Algorithm `json:"algorithm,omitempty"`

	// How the ids of keys are computed: `thumbprint` (RFC 7638; default, and
	// what Distribution 3 computes) or `libtrust` (what Distribution 2 does).
	KeyID KeyIDFormat `json:"key_id,omitempty"`

	// Puts the certificate of the signing key into each token, for registries
	// that are configured with a `rootcertbundle`.
	X5C bool `json:"x5c,omitempty"`

	// The issuer of the tokens. A registry that verifies tokens itself has to
	// be configured with the same. Default: the service name.
	Issuer string `json:"issuer,omitempty"`

	// Further service names that clients may ask tokens for. A token is for
	// the service that was asked for.
	ServiceAliases []string `json:"service_aliases,omitempty"`

	// The absolute URL of the token endpoint that challenges name, where it is
	// served on a host of its own. Default: the first path, on the registry's
	// own host.
	URL string `json:"url,omitempty"`

	// The paths of the token endpoint. The first one is what challenges name;
	// the others serve clients that were set up for another token server, for
	// example `/service/token` of Harbor. Default: `/v2/token`.
	Paths []string `json:"paths,omitempty"`

	// The path of the public keys, a JSON Web Key Set. Default:
	// `/v2/token/jwks`.
	JWKSPath string `json:"jwks_path,omitempty"`

	// The path of the signing certificates as PEM, for registries that are
	// configured with a `rootcertbundle`. Default: `/v2/token/certificates`.
	CertificatesPath string `json:"certificates_path,omitempty"`

	// How long a key signs until the next one takes over, or a negative value
	// to keep it for good. Default: `90d`.
	RotateEvery Duration `json:"rotate_every,omitempty"`
}

// Complete fills in the defaults and reports the first thing that can't be
// used. The service is the registry's name.
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
	if l := time.Duration(c.Lifetime); l < minLifetime || l > maxLifetime {
		return fmt.Errorf("lifetime %s: want %s to %s", l, minLifetime, maxLifetime)
	}
	for _, alias := range c.ServiceAliases {
		if alias == "" {
			return errors.New("service_aliases: a name is empty")
		}
	}
	if err := c.checkPlaces(); err != nil {
		return err
	}
	_, err := c.KeyConfig().withDefaults()
	return err
}

// KeyConfig returns what the configuration says about keys.
func (c *Config) KeyConfig() KeyConfig {
	return KeyConfig{
		Algorithm: c.Algorithm, KeyID: c.KeyID, X5C: c.X5C,
		RotateEvery: time.Duration(c.RotateEvery), Lifetime: time.Duration(c.Lifetime),
	}
}

// checkPlaces checks where clients find things.
func (c *Config) checkPlaces() error {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" ||
			u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("url %q: want an absolute URL such as https://auth.example.com%s", c.URL, DefaultPath)
		}
	}
	seen := make(map[string]bool)
	for _, p := range append([]string{c.JWKSPath, c.CertificatesPath}, c.Paths...) {
		if !strings.HasPrefix(p, "/") || p == "/" || path.Clean(p) != p || (&url.URL{Path: p}).EscapedPath() != p {
			return fmt.Errorf("path %q: want an absolute path such as %s", p, DefaultPath)
		}
		if seen[p] {
			return fmt.Errorf("path %q: used twice", p)
		}
		seen[p] = true
	}
	return nil
}
