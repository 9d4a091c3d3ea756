package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/oauth2"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/loopback"
)

// OIDC authenticates people, and whatever else a provider issues ID tokens to,
// by those tokens: as Bearer, or as the password of Basic with any user name.
// It is safe for concurrent use.
type OIDC struct {
	tokenVerifier
	rules  claimRules
	config OIDCConfig
	source *discovery
}

// Options are what an authenticator needs of the program that it runs in. The
// zero value is of use.
type Options struct {
	// Transport reaches the provider; it carries the trusted certificate
	// authorities. Redirects, sizes and times are bounded whatever it does.
	// Nil: [http.DefaultTransport].
	Transport http.RoundTripper
	// Now is the clock. Nil: the real one.
	Now func() time.Time
	// Logger gets a line when the provider cannot be reached or withdraws a
	// key. Nil: none.
	Logger *zap.Logger
	// When compiles the conditions of workloads; it is needed where there are
	// any.
	When CompileClaims
}

// NewOIDC makes the authenticator of a provider. It does not touch the
// network: see [OIDC.Start].
func NewOIDC(c OIDCConfig, o Options) (*OIDC, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	source := &discovery{issuer: c.Issuer, insecure: c.InsecureIssuer, client: providerClient(o.Transport), now: o.Now}
	a := &OIDC{rules: newClaimRules(c), config: c, source: source, tokenVerifier: newTokenVerifier(issuerSettings{
		name: "oidc:" + c.Issuer, issuer: c.Issuer, algorithms: c.Algorithms,
		maxAge: c.JWKSMaxAge, grace: c.JWKSGrace, keys: source.fetch,
	}, o)}
	if o.Logger != nil {
		a.rules.unread = newUnreadNotice(o.Logger.With(zap.String("issuer", c.Issuer)))
	}
	a.judge = func(claims map[string]any, now time.Time) (verdict, error) {
		p, err := a.rules.principal(claims, now)
		if err != nil {
			return verdict{}, err
		}
		return verdict{principal: p, until: a.rules.until(p, claims)}, nil
	}
	return a, nil
}

// Config returns what the provider was declared with.
func (a *OIDC) Config() OIDCConfig { return a.config }

// Facts implements [Described].
func (a *OIDC) Facts() Facts {
	return Facts{
		Name: a.name, Prefix: a.config.Prefix, People: true, Issuers: []string{a.issuer}, Identity: a.config.IdentityIssuer(),
		NameFrom: NameSource{a.issuer, userClaim(a.config.Username)},
	}
}

// Recheck implements [Rechecker]: a registry token of a user of another
// provider, which had this name before, is not ours to vouch for.
func (a *OIDC) Recheck(p *Principal, _ *Credential) error {
	if p.Issuer != a.rules.identity {
		return fmt.Errorf("%w: user of another provider", ErrDisabled)
	}
	return nil
}

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

	ClaimsConfig

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
	if slices.Contains(c.Audiences, "") || slices.Contains(c.AuthorizedParties, "") {
		return wrong("an audience or authorized_party is empty")
	}
	if err := c.check(); err != nil {
		return wrong("%w", err)
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
	case u.Scheme == "https", u.Scheme == "http" && (insecure || loopback.Is(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("oidc: issuer %.200q: http is accepted on this machine only, or with insecure_issuer", issuer)
	}
	return fmt.Errorf("oidc: issuer %.200q: want https", issuer)
}

// metadata is what a provider's discovery document says (OpenID Connect
// Discovery 1.0 §3, RFC 9207 §3, RP-Initiated Logout 1.0 §2.1).
type metadata struct {
	JWKSURI       string   `json:"jwks_uri"`
	Authorization string   `json:"authorization_endpoint"`
	TokenEndpoint string   `json:"token_endpoint"`
	UserInfo      string   `json:"userinfo_endpoint"`
	EndSession    string   `json:"end_session_endpoint"`
	Scopes        []string `json:"scopes_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	NamesItself   bool     `json:"authorization_response_iss_parameter_supported"`
}

// discoveryPause is how long after a failure nobody asks again.
const discoveryPause = 2 * time.Second

// metadata returns the discovery document, or [ErrUnavailable]. It is read
// when it is needed first; after a failure the next who needs it tries again.
func (a *OIDC) metadata(ctx context.Context) (*metadata, error) {
	d := a.source
	if failed := d.failed.Load(); failed != nil && d.known.Load() == nil && d.now().Sub(failed.at) < discoveryPause {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, failed.err)
	}
	known, err := d.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return &known.metadata, nil
}

// client describes us to the provider.
func (a *OIDC) client(m *metadata, redirectURI string) (*oauth2.Config, error) {
	for name, address := range map[string]string{"authorization_endpoint": m.Authorization, "token_endpoint": m.TokenEndpoint} {
		if err := a.source.checkEndpoint(name, address); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	c := &oauth2.Config{
		ClientID: a.config.ClientID, ClientSecret: a.config.ClientSecret, RedirectURL: redirectURI, Scopes: a.config.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.TokenEndpoint, AuthStyle: oauth2.AuthStyleInHeader},
	}
	// A code is good once: it is not for finding out what the provider takes.
	// Without a word on it, it is Basic (Discovery §3).
	post := slices.Contains(m.AuthMethods, "client_secret_post") && !slices.Contains(m.AuthMethods, "client_secret_basic")
	if post || c.ClientSecret == "" {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{"openid", "profile", "email"}
		if slices.Contains(m.Scopes, "groups") {
			c.Scopes = append(c.Scopes, "groups")
		}
	}
	return c, nil
}

// Reachable reports whether the provider answers: its discovery document is
// there, or was within the hour.
func (a *OIDC) Reachable(ctx context.Context) error {
	_, err := a.metadata(ctx)
	return err
}
