package authn

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// BasicExchangeName is the name of the authenticator's kind.
const BasicExchangeName = "basic_exchange"

// BasicExchangeConfig declares an identity provider at whose token endpoint
// user names and passwords are exchanged for a token, which says who it is.
type BasicExchangeConfig struct {
	// The issuer, exactly as the provider spells it in its tokens. Its keys,
	// and the token endpoint unless that is given, are found by discovery
	// when they are needed first.
	Issuer string `json:"issuer"`

	// The URL of the token endpoint. Default: found by discovery.
	TokenEndpoint string `json:"token_endpoint,omitempty"`

	// If true, user and password are the id and the secret of a client of
	// the provider, such as a service account (RFC 6749 §4.4). Default: true
	// unless the password grant is on.
	ClientCredentials bool `json:"client_credentials,omitempty"`

	// Take people's passwords and hand them to the provider (RFC 6749 §4.3).
	// RFC 9700 §2.4 forbids this grant: the gateway sees the passwords, and a
	// second factor cannot be asked for.
	PasswordGrant *PasswordGrant `json:"insecure_password_grant,omitempty"`

	// How a client shows its secret: `basic` (default), in the Authorization
	// header, or `post`, in the body (RFC 6749 §2.3.1).
	ClientAuth string `json:"client_auth,omitempty"`

	// The scopes that are asked for. With the password grant `openid` is one
	// of them in any case, unless the access token is used.
	Scopes []string `json:"scopes,omitempty"`

	// Further parameters of the request, such as `resource` (RFC 8707) or
	// `audience`.
	Parameters map[string]string `json:"parameters,omitempty"`

	// The audiences of which an access token must have one. Default: any, for
	// the token comes straight from the provider and was not shown to us by
	// somebody who may have it from elsewhere.
	Audiences []string `json:"audiences,omitempty"`

	// The signature algorithms that are accepted, as for an `oidc` provider.
	// Default: RS256 and ES256.
	Algorithms []string `json:"algorithms,omitempty"`

	// What the claims mean. Clients are called by their client id.
	ClaimsConfig

	// How long a right password is remembered, but no longer than the token
	// that the provider gave for it. Default: 10 minutes, at most 24 hours.
	Cache Duration `json:"cache,omitempty"`

	// How long before its expiry a token is not relied on any more. Default:
	// 10 seconds.
	CacheOffset Duration `json:"cache_offset,omitempty"`

	// How long a wrong password is remembered. Default: 10 seconds, at most
	// 5 minutes.
	CacheFailures Duration `json:"cache_failures,omitempty"`

	// How long the provider may take for one exchange. Default: 5 seconds,
	// at most 1 minute.
	Timeout Duration `json:"timeout,omitempty"`

	// How many exchanges may be under way. Default: 16, at most 1024.
	Connections int `json:"connections,omitempty"`

	// How long the provider's keys are used before they are fetched again.
	// Default: 10 minutes.
	JWKSMaxAge Duration `json:"jwks_max_age,omitempty"`

	// How long keys are used beyond that while the provider cannot be
	// reached. Default: 1 hour.
	JWKSGrace Duration `json:"jwks_grace,omitempty"`

	// How far clocks may differ. Default: 60 seconds, at most 5 minutes.
	ClockSkew Duration `json:"clock_skew,omitempty"`

	// If true, the provider may be reached by http:// although it is on
	// another machine, where anybody between can read secrets. For tests.
	InsecureIssuer bool `json:"insecure_issuer,omitempty"`
}

// PasswordGrant says with which client people's passwords are exchanged.
type PasswordGrant struct {
	// The client id of the registry at the provider.
	ClientID string `json:"client_id"`

	// Its secret. Use a placeholder. Empty for a public client.
	ClientSecret string `json:"client_secret,omitempty"`

	// If true, who somebody is is read from the access token and not from
	// the ID token.
	AccessToken bool `json:"access_token,omitempty"`
}

// The values of [BasicExchangeConfig.ClientAuth].
const (
	ClientAuthBasic = "basic"
	ClientAuthPost  = "post"
)

// Defaults of a [BasicExchangeConfig].
const (
	defaultExchangeCache    = 10 * time.Minute
	defaultExchangeOffset   = 10 * time.Second
	defaultExchangeFailures = 10 * time.Second
	defaultExchanges        = 16
)

// ownParameters are the parameters of a request that are not free.
var ownParameters = []string{"grant_type", "client_id", "client_secret", "username", "password", "scope", "client_assertion", "client_assertion_type"}

// UsesClientCredentials reports whether clients can sign in.
func (c BasicExchangeConfig) UsesClientCredentials() bool {
	return c.ClientCredentials || c.PasswordGrant == nil
}

// Validate returns what is wrong with the declaration, naming the field.
func (c BasicExchangeConfig) Validate() error {
	if err := CheckIssuer(c.Issuer, c.InsecureIssuer); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return fmt.Errorf("%s %s: %w", BasicExchangeName, c.Issuer, err)
	}
	return nil
}

func (c BasicExchangeConfig) check() error {
	if err := c.ClaimsConfig.check(); err != nil {
		return err
	}
	if c.TokenEndpoint != "" {
		if u, err := url.Parse(c.TokenEndpoint); err != nil || u.Fragment != "" {
			return errors.New("token_endpoint is not a URL without a fragment")
		}
		if err := checkDiscovered("token_endpoint", c.TokenEndpoint, c.Issuer, c.InsecureIssuer); err != nil {
			return err
		}
	}
	switch {
	case c.PasswordGrant != nil && c.PasswordGrant.ClientID == "":
		return errors.New("insecure_password_grant: client_id is missing")
	case c.ClientAuth != "" && c.ClientAuth != ClientAuthBasic && c.ClientAuth != ClientAuthPost:
		return fmt.Errorf("client_auth %.20q: want %s or %s", c.ClientAuth, ClientAuthBasic, ClientAuthPost)
	case c.PasswordGrant == nil && c.Username != "":
		return errors.New("username is for people, and the password grant is off: clients are called by their client id")
	case slices.Contains(c.Audiences, "") || slices.Contains(c.Scopes, ""):
		return errors.New("a scope or audience is empty")
	case c.Connections < 0 || c.Connections > 1024:
		return fmt.Errorf("connections %d is not between 1 and 1024", c.Connections)
	}
	for name := range c.Parameters {
		if name == "" || slices.Contains(ownParameters, name) {
			return fmt.Errorf("parameter %.40q cannot be set", name)
		}
	}
	for _, d := range []struct {
		name  string
		value Duration
		most  time.Duration
	}{
		{"cache", c.Cache, 24 * time.Hour},
		{"cache_offset", c.CacheOffset, time.Hour},
		{"cache_failures", c.CacheFailures, 5 * time.Minute},
		{"timeout", c.Timeout, time.Minute},
	} {
		if err := checkSpan(d.name, d.value, d.most); err != nil {
			return err
		}
	}
	return checkVerification(c.Algorithms, c.JWKSMaxAge, c.JWKSGrace, c.ClockSkew)
}

// checkSpan refuses a duration that is negative or longer than it may be.
func checkSpan(name string, value Duration, most time.Duration) error {
	if value < 0 || time.Duration(value) > most {
		return fmt.Errorf("%s %s is not between 0 and %s", name, time.Duration(value), most)
	}
	return nil
}
