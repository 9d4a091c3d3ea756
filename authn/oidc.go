package authn

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"
)

// tokenCacheSize is how many verified ID tokens of one provider are remembered.
const tokenCacheSize = 8192

// OIDC authenticates people, and whatever else a provider issues ID tokens to,
// by those tokens: as Bearer, or as the password of Basic with any user name.
// It is safe for concurrent use.
type OIDC struct {
	algorithms []string
	rules      claimRules
	keys       *keySet
	tokens     *TokenCache
	now        func() time.Time
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
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	log := o.Logger.With(zap.String("issuer", c.Issuer))
	a := &OIDC{
		algorithms: slices.Clone(c.Algorithms), rules: newClaimRules(c),
		tokens: NewTokenCache(tokenCacheSize), now: o.Now,
	}
	if len(a.algorithms) == 0 {
		a.algorithms = defaultAlgorithms
	}
	source := &discovery{issuer: c.Issuer, insecure: c.InsecureIssuer, client: providerClient(o.Transport), now: o.Now}
	a.keys = &keySet{
		fetch:  source.fetch,
		maxAge: c.JWKSMaxAge.orDefault(defaultJWKSMaxAge),
		grace:  c.JWKSGrace.orDefault(defaultJWKSGrace),
		now:    o.Now,
		withdrawn: func() {
			log.Info("provider has withdrawn a signing key")
			a.tokens.Drop()
		},
		failed: func(err error, retry time.Duration) {
			log.Warn("provider cannot be reached", zap.Error(err), zap.Duration("retry_in", retry))
		},
	}
	return a, nil
}

// Name is how a realm calls this authenticator: "oidc:" and the issuer.
func (a *OIDC) Name() string { return "oidc:" + a.rules.issuer }

// Start fetches the provider's keys in the background, so that the first
// request finds them, and goes on trying until that has succeeded or ctx ends.
// It returns at once. Without it the first request starts the fetch.
func (a *OIDC) Start(ctx context.Context) { go a.keys.keepTrying(ctx) }

// Authenticate implements [Authenticator]. It owns every well-formed JWT whose
// "iss" is the provider's issuer, whoever signed it. While the provider's keys
// cannot be had, the answer is [ErrUnavailable] and never [ErrInvalid].
func (a *OIDC) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if !looksLikeJWT(c.Secret) {
		return nil, ErrNotMine
	}
	now := a.now()
	if p, ok := a.tokens.Get(c.Secret, now); ok && a.keys.fresh() != nil {
		return p, nil
	}
	t, err := parseToken(c.Secret)
	if t == nil {
		return nil, fmt.Errorf("%w: %w", ErrNotMine, err)
	}
	if iss, _ := t.claims["iss"].(string); iss != a.rules.issuer {
		return nil, ErrNotMine
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !slices.Contains(a.algorithms, t.algorithm) {
		return nil, fmt.Errorf("%w: signature algorithm %.20q is not accepted", ErrInvalid, t.algorithm)
	}
	return a.verify(ctx, c.Secret, t, now)
}

// verify checks signature and claims. A wrong signature is reported before
// anything else: nothing that a forged token says is worth reporting.
func (a *OIDC) verify(ctx context.Context, token string, t *signedToken, now time.Time) (*Principal, error) {
	generation := a.tokens.Generation() // before the keys
	p, claimsErr := a.rules.principal(t.claims, now)
	keys, err := a.keys.find(ctx, t, claimsErr == nil)
	if err != nil {
		return nil, err
	}
	// While keys are used beyond their age, tokens known to be good pass here.
	if p, ok := a.tokens.Get(token, now); ok {
		return p, nil
	}
	algorithm := signatureAlgorithms[t.algorithm]
	if !slices.ContainsFunc(keys, func(k verificationKey) bool { return algorithm.verify(k.public, t.signed, t.signature) }) {
		return nil, fmt.Errorf("%w: signature is wrong", ErrInvalid)
	}
	if claimsErr != nil {
		return nil, claimsErr
	}
	p.Authenticator = a.Name()
	a.tokens.PutGeneration(generation, token, p, a.rules.until(p, t.claims))
	return p, nil
}

// Recheck implements [Rechecker]: a registry token of a user of another
// provider, which had this name before, is not ours to vouch for.
func (a *OIDC) Recheck(p *Principal, _ *Credential) error {
	if p.Issuer != a.rules.issuer {
		return fmt.Errorf("%w: user of another provider", ErrDisabled)
	}
	return nil
}
