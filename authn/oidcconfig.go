package authn

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// OIDCConfig declares an OpenID Connect provider whose ID tokens prove who
// somebody is.
type OIDCConfig struct {
	// The issuer, exactly as the provider spells it in its tokens
	// (`https://sso.example.com/realms/corp`). Its discovery document is
	// read when it is needed first, not when the server starts.
	Issuer string `json:"issuer"`

	// The identifier under which the registry is known to the provider. ID
	// tokens that were issued for it are accepted.
	ClientID string `json:"client_id,omitempty"`

	// Further audiences for which tokens are accepted. At least one of
	// client ID and audiences is needed: a token that was issued for somebody
	// else must not open the registry.
	Audiences []string `json:"audiences,omitempty"`

	// Clients that may hold tokens for one of our audiences (claim `azp`),
	// besides the client ID and the audiences themselves.
	AuthorizedParties []string `json:"authorized_parties,omitempty"`

	// The signature algorithms that are accepted: RS256, RS384, RS512, PS256,
	// PS384, PS512, ES256, ES384, ES512, EdDSA. What the provider advertises
	// does not matter. Default: RS256 and ES256.
	Algorithms []string `json:"algorithms,omitempty"`

	// The claim that holds the user name. Dots reach into nested claims.
	// Default: `preferred_username`. With `email`, a token that says
	// `email_verified: false` is refused.
	Username string `json:"username,omitempty"`

	// The claim that holds the groups, a string or a list of strings.
	// Default: `groups`.
	Groups string `json:"groups,omitempty"`

	// The claim that holds the roles, a string or a list of strings, for
	// example `realm_access.roles`. Default: none.
	Roles string `json:"roles,omitempty"`

	// Put before the names of users, groups and roles of this provider, so
	// that those of several providers cannot be mistaken for each other.
	Prefix string `json:"prefix,omitempty"`

	// If given, only members of one of these groups (as the provider names
	// them) are accepted.
	RequiredGroups []string `json:"required_groups,omitempty"`

	// The age, counted from its `iat`, from which a token is refused even if
	// it has not expired. Default: no limit.
	MaxAge Duration `json:"max_age,omitempty"`

	// How long the provider's signing keys are used before they are fetched
	// again: a key that the provider has withdrawn is refused after this time
	// at the latest. Default: 10 minutes.
	JWKSMaxAge Duration `json:"jwks_max_age,omitempty"`

	// How long keys are used beyond that while the provider cannot be
	// reached. Default: 1 hour.
	JWKSGrace Duration `json:"jwks_grace,omitempty"`

	// How far clocks may differ. Default: 60 seconds, at most 5 minutes.
	ClockSkew Duration `json:"clock_skew,omitempty"`

	SignInConfig

	// If true, the issuer may be reached by http:// although it is on another
	// machine, where anybody between can forge tokens. For tests.
	InsecureIssuer bool `json:"insecure_issuer,omitempty"`
}

// Defaults of an [OIDCConfig].
const (
	defaultUsername   = "preferred_username"
	defaultGroups     = "groups"
	defaultJWKSMaxAge = 10 * time.Minute
	defaultJWKSGrace  = time.Hour
	defaultClockSkew  = time.Minute
)

var defaultAlgorithms = []string{"RS256", "ES256"}

// Validate returns what is wrong with the declaration, naming the field.
func (c OIDCConfig) Validate() error {
	if err := CheckIssuer(c.Issuer, c.InsecureIssuer); err != nil {
		return err
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("oidc %s: %w", c.Issuer, fmt.Errorf(format, args...))
	}
	if c.ClientID == "" && len(c.Audiences) == 0 {
		return wrong("neither client_id nor audience is given, so that tokens for any other application would be accepted")
	}
	if slices.Contains(c.Audiences, "") || slices.Contains(c.AuthorizedParties, "") || slices.Contains(c.RequiredGroups, "") {
		return wrong("an audience, authorized_party or required_group is empty")
	}
	if c.MaxAge < 0 {
		return wrong("max_age is negative")
	}
	if err := c.checkSignIn(c.ClientID); err != nil {
		return wrong("%w", err)
	}
	if err := checkVerification(c.Algorithms, c.JWKSMaxAge, c.JWKSGrace, c.ClockSkew); err != nil {
		return wrong("%w", err)
	}
	return nil
}

// checkVerification checks the settings that all authenticators of signed
// tokens share.
func checkVerification(algorithms []string, maxAge, grace, skew Duration) error {
	for _, a := range algorithms {
		if err := CheckAlgorithm(a); err != nil {
			return err
		}
	}
	switch {
	case maxAge != 0 && (time.Duration(maxAge) < time.Second || time.Duration(maxAge) > 24*time.Hour):
		return fmt.Errorf("jwks_max_age %s is not between 1s and 24h", time.Duration(maxAge))
	case grace < 0 || time.Duration(grace) > 7*24*time.Hour:
		return fmt.Errorf("jwks_grace %s is not between 0 and 7 days", time.Duration(grace))
	case skew < 0 || time.Duration(skew) > 5*time.Minute:
		return fmt.Errorf("clock_skew %s is not between 0 and 5m", time.Duration(skew))
	}
	return nil
}

// CheckIssuer returns an error if issuer is not a URL of a provider that can
// be trusted to be who it says: https, or http on this machine.
func CheckIssuer(issuer string, insecure bool) error {
	u, err := url.Parse(issuer)
	switch {
	case issuer == "":
		return errors.New("oidc: issuer is missing")
	case err != nil || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("oidc: issuer %.200q is not an absolute URL", issuer)
	case u.User != nil || strings.ContainsAny(issuer, "?#"):
		return fmt.Errorf("oidc: issuer on %q: must have neither user, query nor fragment", u.Host)
	case u.Scheme == "https", u.Scheme == "http" && (insecure || isLoopback(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("oidc: issuer %.200q: http is accepted on this machine only, or with insecure_issuer", issuer)
	}
	return fmt.Errorf("oidc: issuer %.200q: want https", issuer)
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && a.IsLoopback()
}
