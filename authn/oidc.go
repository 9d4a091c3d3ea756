package authn

import (
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// OIDC authenticates people, and whatever else a provider issues ID tokens to,
// by those tokens: as Bearer, or as the password of Basic with any user name.
// It is safe for concurrent use.
type OIDC struct {
	tokenVerifier
	rules   claimRules
	config  OIDCConfig
	source  *discovery
	logouts *SpentTokens
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
	a := &OIDC{rules: newClaimRules(c), config: c, source: source, logouts: NewSpentTokens(), tokenVerifier: newTokenVerifier(issuerSettings{
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
