package tokenendpoint

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// Where the token endpoint and the public keys are if nothing else is
// configured. All are below /v2, so that one route of the server leads to
// all that clients need.
const (
	DefaultPath             = "/v2/token"
	DefaultJWKSPath         = "/v2/token/jwks"
	DefaultCertificatesPath = "/v2/token/certificates"
)

// Bounds of a token's lifetime. Clients take any shorter one for a minute, and
// the leeway makes that true; what a registry that verifies tokens itself can
// be shown after a withdrawal has to end some day.
const (
	DefaultUploadGrace = time.Hour

	minLifetime = 10 * time.Second
	maxLifetime = 24 * time.Hour
)

// Config is the configuration of the token endpoint, as it stands in a file.
type Config struct {
	// How long a registry token is valid: from `10s` to `24h`. Default: `5m`.
	// What a token allows is checked again with each use, so that a long
	// lifetime does not delay a withdrawal; a short one makes clients come
	// back more often.
	Lifetime Duration `json:"lifetime,omitempty"`

	// How long after a token's expiry its holder may go on with an upload that
	// was started while it was valid, or a negative value for not at all: a
	// layer may take longer than a token lives. Default: `1h`.
	UploadGrace Duration `json:"upload_grace,omitempty"`

	// The signature algorithm: `ES256` (default), `RS256` or `EdDSA`. It
	// matters to registries that verify tokens themselves: Distribution 2
	// does not know `EdDSA`.
	Algorithm keys.Algorithm `json:"algorithm,omitempty"`

	// How the ids of keys are computed: `thumbprint` (RFC 7638; default, and
	// what Distribution 3 computes) or `libtrust` (what Distribution 2 does).
	KeyID keys.IDFormat `json:"key_id,omitempty"`

	// Puts the certificate of the signing key into each token, for registries
	// that are configured with a `rootcertbundle`.
	X5C bool `json:"x5c,omitempty"`

	// The issuer of the tokens. A registry that verifies tokens itself has to
	// be configured with the same. Default: the public URL, else the service.
	Issuer string `json:"issuer,omitempty"`

	// Further service names that clients may ask for. A token is for the
	// service that was asked for.
	ServiceAliases []string `json:"service_aliases,omitempty"`

	// The URL of the token endpoint in challenges, where it is on another
	// host than the registry. Default: the first path, on the host that the
	// client is talking to.
	URL string `json:"url,omitempty"`

	// The paths of the token endpoint. All but the first serve clients that
	// were set up for another token server, for example `/service/token` of
	// Harbor. Default: `/v2/token`.
	Paths []string `json:"paths,omitempty"`

	// The realms of a Keycloak whose docker protocol stood here. For each, the
	// token endpoint also answers at `/realms/REALM/protocol/docker-v2/auth`
	// and, as its documentation prints it, without `/auth`; there it wants a
	// `service` and refuses in Keycloak's words. Default: none.
	Keycloak []string `json:"keycloak,omitempty"`

	// The path of the public keys, a JSON Web Key Set. Default:
	// `/v2/token/jwks`.
	JWKSPath string `json:"jwks_path,omitempty"`

	// The path of the signing certificates as PEM, the file that Distribution
	// calls a `rootcertbundle`. Default: `/v2/token/certificates`.
	CertificatesPath string `json:"certificates_path,omitempty"`

	// Whether people's clients may keep a refresh token instead of a password
	// (`docker login` does): `on` or `off`. Default: `off`.
	RefreshTokens string `json:"refresh_tokens,omitempty"`

	// How long a refresh token lasts at the longest. Default: `90d`.
	RefreshTokenLifetime Duration `json:"refresh_token_lifetime,omitempty"`

	// How long a refresh token may rest between two uses, or a negative value
	// for as long as it lasts. Default: `30d`.
	RefreshTokenIdle Duration `json:"refresh_token_idle,omitempty"`

	// `on` gives clients that keep it (`access_type=offline`) a new refresh
	// token with each exchange; the old one ends a minute later, and whoever
	// shows it after that ends both. Docker and its like do not ask, and keep
	// theirs. Default: `off`.
	RefreshTokenRotation string `json:"refresh_token_rotation,omitempty"`

	// Who may exchange a refresh token: `any` client, since those that share a
	// configuration file share what is in it, or the `same` as it was given
	// to, by its `client_id`. Default: `any`.
	RefreshTokenClient string `json:"refresh_token_client,omitempty"`

	// How long a key signs until the next one takes over, or a negative
	// value to keep it for good. Default: `90d`.
	RotateEvery Duration `json:"rotate_every,omitempty"`
}

// TokenPaths returns the paths of the token endpoint, at least one: that of
// challenges, further ones, those of Keycloak.
func (c *Config) TokenPaths() []string {
	paths := c.Paths
	if len(paths) == 0 {
		paths = []string{DefaultPath}
	}
	return slices.Concat(paths, keycloakPaths(c.Keycloak))
}

// KeysPath returns the path of the public keys.
func (c *Config) KeysPath() string { return cmp.Or(c.JWKSPath, DefaultJWKSPath) }

// BundlePath returns the path of the certificates.
func (c *Config) BundlePath() string { return cmp.Or(c.CertificatesPath, DefaultCertificatesPath) }

// KeyConfig returns what the configuration says about keys. The logger gets
// what goes wrong in the background; it may be nil.
func (c *Config) KeyConfig(log *slog.Logger) keys.Config {
	return keys.Config{
		Algorithm: c.Algorithm, KeyID: c.KeyID, X5C: c.X5C,
		RotateEvery: time.Duration(c.RotateEvery), Lifetime: c.lifetime(), Grace: c.Grace(), Log: log,
	}
}

func (c *Config) lifetime() time.Duration {
	return cmp.Or(time.Duration(c.Lifetime), keys.DefaultLifetime)
}

// Grace returns how long uploads outlive their token, zero for not at all.
func (c *Config) Grace() time.Duration {
	return max(0, cmp.Or(time.Duration(c.UploadGrace), DefaultUploadGrace))
}

// Validate reports the first thing in the configuration that can't be used.
func (c *Config) Validate() error {
	if l := c.lifetime(); l < minLifetime || l > maxLifetime {
		return fmt.Errorf("lifetime %s: want %s to %s", l, minLifetime, maxLifetime)
	}
	if g := c.Grace(); g > maxLifetime {
		return fmt.Errorf("upload_grace %s: want at most %s", g, maxLifetime)
	}
	if slices.Contains(c.ServiceAliases, "") {
		return fmt.Errorf("service_alias: name is empty")
	}
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("url %q: want an absolute URL such as https://auth.example.com%s", c.URL, DefaultPath)
		}
	}
	if err := c.checkRefreshTokens(); err != nil {
		return err
	}
	if err := checkKeycloakRealms(c.Keycloak); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, p := range append(slices.Clone(c.TokenPaths()), c.KeysPath(), c.BundlePath()) {
		if err := checkPath(p); err != nil {
			return err
		}
		if seen[p] {
			return fmt.Errorf("path %q: used twice", p)
		}
		seen[p] = true
	}
	return c.KeyConfig(nil).Validate()
}

// checkPath takes an absolute path in canonical form, without anything that a
// URL would encode.
func checkPath(p string) error {
	if !strings.HasPrefix(p, "/") || p == "/" || path.Clean(p) != p || (&url.URL{Path: p}).EscapedPath() != p {
		return fmt.Errorf("path %q: want an absolute path such as %s", p, DefaultPath)
	}
	return nil
}

// Defaults and bounds of refresh tokens.
const (
	DefaultRefreshTokenLifetime = 90 * 24 * time.Hour
	DefaultRefreshTokenIdle     = 30 * 24 * time.Hour

	maxRefreshTokenLifetime = 366 * 24 * time.Hour
)

// The values of [Config.RefreshTokens], [Config.RefreshTokenRotation] and
// [Config.RefreshTokenClient].
const (
	On         = "on"
	Off        = "off"
	AnyClient  = "any"
	SameClient = "same"
)

// HasRefreshTokens reports whether clients may keep a refresh token.
func (c *Config) HasRefreshTokens() bool { return c.RefreshTokens == On }

// RefreshLifetime is how long a refresh token lasts at the longest.
func (c *Config) RefreshLifetime() time.Duration {
	return cmp.Or(time.Duration(c.RefreshTokenLifetime), DefaultRefreshTokenLifetime)
}

// RefreshIdle is how long a refresh token may rest, zero for as long as it
// lasts.
func (c *Config) RefreshIdle() time.Duration {
	if c.RefreshTokenIdle == 0 {
		return min(DefaultRefreshTokenIdle, c.RefreshLifetime())
	}
	return max(0, time.Duration(c.RefreshTokenIdle))
}

func (c *Config) checkRefreshTokens() error {
	for name, value := range map[string]string{"refresh_tokens": c.RefreshTokens, "refresh_token_rotation": c.RefreshTokenRotation} {
		if value != "" && value != On && value != Off {
			return fmt.Errorf("%s %.20q: want on or off", name, value)
		}
	}
	if v := c.RefreshTokenClient; v != "" && v != AnyClient && v != SameClient {
		return fmt.Errorf("refresh_token_client %.20q: want any or same", v)
	}
	if l := c.RefreshLifetime(); l < time.Minute || l > maxRefreshTokenLifetime {
		return fmt.Errorf("refresh_token_lifetime %s: want 1m to 366d", l)
	}
	if i := c.RefreshIdle(); i != 0 && i < time.Minute {
		return fmt.Errorf("refresh_token_idle %s: want at least 1m", i)
	}
	return nil
}

// Duration is a time span in a configuration.
type Duration = duration.Duration
