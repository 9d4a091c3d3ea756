package authn

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
)

// tokenCacheSize is how many verified tokens of one issuer are remembered.
const tokenCacheSize = 8192

// tokenVerifier verifies the JWTs of one issuer. What a token has to say to
// be good, and who it stands for, is the matter of judge.
type tokenVerifier struct {
	name       string // of the authenticator
	issuer     string
	algorithms []string
	types      []string // accepted besides JWT
	keys       *keySet
	tokens     *TokenCache
	now        func() time.Time
	judge      func(claims map[string]any, now time.Time) (verdict, error)
}

// verdict is what the claims of a token come to if its signature is right.
type verdict struct {
	principal *Principal
	until     time.Time                   // when the token has to be refused
	spend     func(context.Context) error // nil: the token may be shown again
}

// issuerSettings are the parts of a configuration that a tokenVerifier needs.
type issuerSettings struct {
	name, issuer  string
	algorithms    []string
	maxAge, grace Duration
	insecure      bool // of the issuer, where keys is nil
	// keys replaces the issuer's own key set.
	keys func(context.Context) (*providerKeys, error)
}

func newTokenVerifier(s issuerSettings, o Options) tokenVerifier {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	log := o.Logger.With(zap.String("issuer", s.issuer))
	v := tokenVerifier{
		name: s.name, issuer: s.issuer, algorithms: slices.Clone(s.algorithms),
		tokens: NewTokenCache(tokenCacheSize), now: o.Now,
	}
	if len(v.algorithms) == 0 {
		v.algorithms = defaultAlgorithms
	}
	fetch := s.keys
	if fetch == nil {
		source := &discovery{issuer: s.issuer, insecure: s.insecure, client: providerClient(o.Transport), now: o.Now}
		fetch = source.fetch
	}
	tokens := v.tokens
	v.keys = &keySet{
		fetch:  fetch,
		maxAge: s.maxAge.OrDefault(defaultJWKSMaxAge),
		grace:  s.grace.OrDefault(defaultJWKSGrace),
		now:    o.Now,
		withdrawn: func() {
			log.Info("provider has withdrawn a signing key")
			tokens.Drop()
		},
		failed: func(err error, retry time.Duration) {
			log.Warn("provider cannot be reached", zap.Error(err), zap.Duration("retry_in", retry))
		},
	}
	return v
}

// Name is how a realm calls this authenticator: its kind and the issuer.
func (v *tokenVerifier) Name() string { return v.name }

// Start fetches the issuer's keys in the background, so that the first
// request finds them, and goes on trying until that has succeeded or ctx ends.
// It returns at once. Without it the first request starts the fetch.
func (v *tokenVerifier) Start(ctx context.Context) { go v.keys.keepTrying(ctx) }

// Authenticate implements [Authenticator]. It owns every well-formed JWT whose
// "iss" is the issuer, whoever signed it. While the issuer's keys cannot be
// had, the answer is [ErrUnavailable] and never [ErrInvalid].
func (v *tokenVerifier) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if !looksLikeJWT(c.Secret) {
		return nil, ErrNotMine
	}
	now := v.now()
	if p, ok := v.tokens.Get(c.Secret, now); ok && v.keys.fresh() != nil {
		return p, nil
	}
	t, err := parseToken(c.Secret, v.types...)
	if t == nil {
		return nil, fmt.Errorf("%w: %w", ErrNotMine, err)
	}
	if iss, _ := t.claims["iss"].(string); iss != v.issuer {
		return nil, ErrNotMine
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !slices.Contains(v.algorithms, t.algorithm) {
		return nil, fmt.Errorf("%w: signature algorithm %.20q is not accepted", ErrInvalid, t.algorithm)
	}
	return v.verify(ctx, c.Secret, t, now)
}

// verify checks signature and claims. A wrong signature is reported before
// anything else: nothing that a forged token says is worth reporting.
func (v *tokenVerifier) verify(ctx context.Context, token string, t *signedToken, now time.Time) (*Principal, error) {
	generation := v.tokens.Generation() // before the keys
	verdict, claimsErr := v.judge(t.claims, now)
	keys, err := v.keys.find(ctx, t, claimsErr == nil)
	if err != nil {
		return nil, err
	}
	// While keys are used beyond their age, tokens known to be good pass here.
	if p, ok := v.tokens.Get(token, now); ok {
		return p, nil
	}
	algorithm := signatureAlgorithms[t.algorithm]
	if !slices.ContainsFunc(keys, func(k verificationKey) bool { return algorithm.verify(k.public, t.signed, t.signature) }) {
		return nil, fmt.Errorf("%w: signature is wrong", ErrInvalid)
	}
	if claimsErr != nil {
		return nil, claimsErr
	}
	verdict.principal.Authenticator = v.name
	if verdict.spend != nil { // never remembered: the next showing is to fail
		if err := verdict.spend(ctx); err != nil {
			return nil, err
		}
		return verdict.principal, nil
	}
	v.tokens.PutGeneration(generation, token, verdict.principal, verdict.until)
	return verdict.principal, nil
}

// LogoutToken says that a provider has signed somebody out (OpenID Connect
// Back-Channel Logout 1.0 §2.4).
type LogoutToken struct {
	// Issuer and Subject are the user's identity; Subject may be empty if
	// Session is not: then all who share the session are meant.
	Issuer, Subject string
	// Session is the provider's session; empty: all of the user's.
	Session string
	// ID is the token's own identifier: it is good once. Until is from when it is
	// refused anyhow.
	ID    string
	Until time.Time
}

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// logoutAge is how old a logout token may be.
	logoutAge = 5 * time.Minute
)

// LogoutToken verifies a logout token, strictly (§2.6). That each is good once is
// held by whoever does what it says: with it, or not at all.
func (a *OIDC) LogoutToken(ctx context.Context, token string) (*LogoutToken, error) {
	t, err := a.signed(ctx, token, "logout+jwt")
	if err != nil {
		return nil, err
	}
	c, now := t.claims, a.now()
	events, _ := c["events"].(map[string]any)
	if _, ok := events[logoutEvent].(map[string]any); !ok {
		return nil, fmt.Errorf("%w: no logout token (events)", ErrInvalid)
	}
	if _, present := c["nonce"]; present {
		return nil, fmt.Errorf("%w: a logout token has no nonce", ErrInvalid)
	}
	if err := a.rules.checkAudience(c); err != nil {
		return nil, err
	}
	rules := a.rules
	rules.maxAge = logoutAge
	if _, present := c["exp"]; !present { // not asked for by the first edition
		c["exp"] = float64(now.Add(logoutAge).Unix())
	}
	if _, err := rules.checkTimes(c, now); err != nil {
		return nil, err
	}
	out := &LogoutToken{Issuer: a.rules.identity}
	out.Subject, _ = c["sub"].(string)
	out.Session, _ = c["sid"].(string)
	if out.Subject == "" && out.Session == "" || len(out.Subject) > maxSubject {
		return nil, fmt.Errorf("%w: neither sub nor sid", ErrInvalid)
	}
	jti, _ := c["jti"].(string)
	if jti == "" || len(jti) > maxSubject {
		return nil, fmt.Errorf("%w: jti is missing", ErrInvalid)
	}
	issued, err := numericDate(c, "iat")
	if err != nil {
		return nil, err
	}
	out.ID, out.Until = jti, issued.Add(logoutAge+2*rules.skew)
	return out, nil
}
