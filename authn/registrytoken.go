package authn

import (
	"context"
	"crypto"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// CredentialRegistryToken is [Principal.Credential] of who shows one of our
// own registry tokens.
const CredentialRegistryToken = "registry_token"

// MaxRegistryToken is the size in bytes that no registry token exceeds. A
// longer token is somebody else's.
const MaxRegistryToken = 8 << 10

const (
	registryTokenLeeway = time.Minute
	registryTokenCache  = 1 << 16
)

// KeySource knows the public keys that registry tokens are signed with.
type KeySource interface {
	// VerificationKey returns the key with an id, false if there is none or
	// it is no longer accepted. It is called for tokens that were not seen
	// before and may look for new keys elsewhere, at a bounded rate.
	VerificationKey(ctx context.Context, id string) (VerificationKey, bool)
	// Generation changes whenever a key was added or withdrawn. It is
	// called for every token and must not block.
	Generation() uint64
}

// VerificationKey is a public key with the only algorithm it is used with: a
// token does not choose how it is verified.
type VerificationKey struct {
	Method jwt.SigningMethod
	Public crypto.PublicKey
	Until  time.Time // no longer accepted from then on; zero: no end is known
}

// RegistryTokenConfig configures a [RegistryToken].
type RegistryTokenConfig struct {
	// Issuer is the "iss" by which our tokens are recognised.
	Issuer string
	// Service is the "aud" they are for; Aliases are further names of the
	// same registry.
	Service string
	Aliases []string
	// Keys are the keys they are signed with.
	Keys KeySource
	// CacheSize is how many verified tokens are remembered; default 65536.
	CacheSize int
	// Leeway is for clocks that differ; default one minute, as Distribution.
	Leeway time.Duration
	// Recheck, if set, asks whether the principal of a token is still good.
	// It is called for every use and must not block.
	Recheck func(p *Principal, c *Credential) error
	// Now replaces the clock in tests.
	Now func() time.Time
}

// RegistryToken authenticates who shows a registry token that this gateway,
// or another one with the same keys, has signed. It owns bearer tokens that
// are JWTs of its issuer.
type RegistryToken struct {
	cfg        RegistryTokenConfig
	audiences  map[string]bool
	issuerJSON []byte // the issuer as it stands in a payload
	cache      *TokenCache
	generation atomic.Uint64 // of the keys that the cache was filled with
}

// NewRegistryToken returns the authenticator. Its cache is its own: a token
// that is good for one service is not good for another one.
func NewRegistryToken(cfg RegistryTokenConfig) (*RegistryToken, error) {
	switch {
	case cfg.Issuer == "":
		return nil, fmt.Errorf("registry token: issuer is empty")
	case cfg.Service == "":
		return nil, fmt.Errorf("registry token: service is empty")
	case cfg.Keys == nil:
		return nil, fmt.Errorf("registry token: no keys")
	}
	if cfg.Leeway == 0 {
		cfg.Leeway = registryTokenLeeway
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = registryTokenCache
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	t := &RegistryToken{
		cfg: cfg, cache: NewTokenCache(cfg.CacheSize),
		audiences:  map[string]bool{cfg.Service: true},
		issuerJSON: quoteJSON(cfg.Issuer),
	}
	for _, alias := range cfg.Aliases {
		t.audiences[alias] = true
	}
	t.generation.Store(cfg.Keys.Generation())
	return t, nil
}

// Authenticate implements [Authenticator].
func (t *RegistryToken) Authenticate(ctx context.Context, c *Credential) (*Principal, error) {
	if c.Scheme != SchemeBearer || len(c.Secret) > MaxRegistryToken {
		return nil, ErrNotMine
	}
	if g := t.cfg.Keys.Generation(); g != t.generation.Load() {
		t.cache.Drop()
		t.generation.Store(g)
	}
	now := t.cfg.Now()
	p, found := t.cache.Get(c.Secret, now)
	if !found {
		var err error
		if p, err = t.verify(ctx, c.Secret, now); err != nil {
			return nil, err
		}
	}
	if t.cfg.Recheck != nil && !p.IsAnonymous() {
		if err := t.cfg.Recheck(p, c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// verify checks a token that is not in the cache. The signature comes before
// everything that is in the token but the issuer and the name of the key.
func (t *RegistryToken) verify(ctx context.Context, token string, now time.Time) (*Principal, error) {
	jws, ok := splitRegistryJWS(token)
	if !ok || !t.issued(jws.payload) {
		return nil, ErrNotMine
	}
	algorithm, id, err := jws.keyNamed()
	if err != nil {
		return nil, invalidToken(err)
	}
	generation := t.cache.Generation() // before the key, which may be withdrawn meanwhile
	key, ok := t.cfg.Keys.VerificationKey(ctx, id)
	if !ok {
		return nil, invalidToken(errTokenKey)
	}
	if algorithm != key.Method.Alg() {
		return nil, invalidToken(errTokenAlgorithm)
	}
	if err := jws.verify(&key); err != nil {
		return nil, invalidToken(err)
	}
	claims, err := jws.registryClaims()
	if err != nil {
		return nil, invalidToken(err)
	}
	expired, err := t.check(claims, now)
	if err != nil {
		return nil, err
	}
	p := claims.principal()
	if expired {
		return nil, &ExpiredTokenError{Principal: p}
	}
	until := p.Expires.Add(t.cfg.Leeway)
	if !key.Until.IsZero() && key.Until.Before(until) {
		until = key.Until
	}
	t.cache.PutGeneration(generation, token, p, until)
	return p, nil
}

// check compares what a well-formed token says with what we ask of it. A token
// of which nothing is wrong but its age is told apart.
func (t *RegistryToken) check(c *RegistryClaims, now time.Time) (expired bool, err error) {
	early, late := now.Add(t.cfg.Leeway).Unix(), now.Add(-t.cfg.Leeway).Unix()
	switch {
	case c.Issuer != t.cfg.Issuer:
		return false, invalidToken(errTokenIssuer)
	case !t.audiences[c.Audience]:
		return false, invalidToken(errTokenAudience)
	case c.NotBefore > early || c.IssuedAt > early:
		return false, invalidToken(errTokenNotYet)
	}
	return c.ExpiresAt <= late, nil
}

func invalidToken(reason error) error {
	return fmt.Errorf("%w: registry token: %w", ErrInvalid, reason)
}
