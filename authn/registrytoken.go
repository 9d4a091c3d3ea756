package authn

import (
	"context"
	"crypto"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/golang-jwt/jwt/v5"
)

// CredentialRegistryToken is the [Principal.Credential] of a caller with one of our
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
	// it is forgotten. It is called for tokens that were not seen
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
	Until  time.Time // from then on it only tells expired tokens; zero: no end is known
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
	generation := t.cache.Generation() // before the key, which may be withdrawn in the meantime
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
	switch {
	case expired:
		return nil, &ExpiredTokenError{Principal: p}
	case !key.Until.IsZero() && !now.Before(key.Until):
		return nil, invalidToken(errTokenKey) // it signs nothing any more that is still good
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

// ExpiredTokenError is the [ErrExpired] of a registry token of which nothing
// is wrong but its age. Who it was good for may go on with what they started
// in time, where there is other proof that they did.
type ExpiredTokenError struct {
	// Principal is who the token was for. Nobody has rechecked them.
	Principal *Principal
}

func (e *ExpiredTokenError) Error() string {
	return ErrExpired.Error() + ": registry token expired at " + e.Principal.Expires.UTC().Format(time.RFC3339)
}

// Unwrap returns [ErrExpired].
func (e *ExpiredTokenError) Unwrap() error { return ErrExpired }

// IssuedSecret is a secret of ours that was handed out at run time, such as a
// personal access token. It is immutable.
type IssuedSecret struct {
	Hash      Hash
	Principal *Principal // who shows it, not shared; CredentialID is the secret's id
	Owner     string     // the authenticator that saw its owner last, see [Chain.Vouch]
	From      []netip.Prefix
	Expires   time.Time // zero: never
}

// SecretDirectory knows the secrets that were handed out.
type SecretDirectory interface {
	// IssuedSecret returns the secret with that public id as things stand
	// now: [ErrInvalid] if there is none, [ErrDisabled] if its owner may not
	// come in any more. It must not block.
	IssuedSecret(id string) (*IssuedSecret, error)
	// IsAnother reports whether a user name is that of a known user other
	// than p. It must not block.
	IsAnother(username string, p *Principal) bool
}

// Issued authenticates by secrets of one kind that were handed out at run
// time: as the password of Basic, under any user name but somebody else's, or
// as Bearer.
type Issued struct {
	kind      SecretKind
	directory SecretDirectory
	now       func() time.Time
	vouch     func(*Principal, *Credential) error // nil: nobody is asked
}

// VouchedBy has vouch say whether the owner of a secret is still good, as
// [Chain.Vouch] does. It must be set before the authenticator is used.
func (a *Issued) VouchedBy(vouch func(*Principal, *Credential) error) { a.vouch = vouch }

// NewIssued returns the authenticator for the secrets of one kind. now is the
// clock, nil for the real one.
func NewIssued(kind SecretKind, directory SecretDirectory, now func() time.Time) *Issued {
	if now == nil {
		now = time.Now
	}
	return &Issued{kind: kind, directory: directory, now: now}
}

// Authenticate implements [Authenticator].
func (a *Issued) Authenticate(_ context.Context, c *Credential) (*Principal, error) {
	if kind, ours := secretKind(c.Secret); !ours || kind != a.kind {
		return nil, ErrNotMine
	}
	parsed, err := parseSecret(c.Secret)
	if err != nil {
		return nil, err
	}
	s, err := a.directory.IssuedSecret(parsed.ID)
	if err != nil {
		return nil, err
	}
	if !s.Hash.Matches(c.Secret) {
		return nil, fmt.Errorf("%w: no such secret", ErrInvalid)
	}
	if err := a.admits(s, c); err != nil {
		return nil, err
	}
	if c.Scheme == SchemeBasic && a.directory.IsAnother(c.Username, s.Principal) {
		// Who believes to be somebody else had better know.
		return nil, fmt.Errorf("%w: the secret is not that of the user who is named", ErrInvalid)
	}
	return s.Principal, nil
}

// Recheck implements [Rechecker]: the secret must still be there and good for
// the client.
func (a *Issued) Recheck(p *Principal, c *Credential) error {
	id := p.OriginID
	if p.Origin == "" {
		id = p.CredentialID
	}
	s, err := a.directory.IssuedSecret(id)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDisabled, err)
	}
	if s.Principal.Identity() != p.Identity() {
		return fmt.Errorf("%w: the secret is somebody else's now", ErrDisabled)
	}
	if err := a.admits(s, c); err != nil {
		return err
	}
	for _, g := range p.Groups {
		if !slices.Contains(s.Principal.Groups, g) {
			return fmt.Errorf("%w: %s is not in group %s any more", ErrDisabled, p, g)
		}
	}
	return nil
}

// admits says whether the secret is good for a client, and its owner still is
// who it was.
func (a *Issued) admits(s *IssuedSecret, c *Credential) error {
	if err := s.admits(c.Remote, a.now()); err != nil || a.vouch == nil {
		return err
	}
	owner := *s.Principal
	owner.Authenticator = s.Owner
	if err := a.vouch(&owner, c); err != nil {
		return err
	}
	s.Principal.Groups, s.Principal.GroupsUnread = owner.Groups, owner.GroupsUnread
	return nil
}

func (s *IssuedSecret) admits(remote netip.Addr, now time.Time) error {
	switch {
	case !s.Expires.IsZero() && !now.Before(s.Expires):
		return fmt.Errorf("%w: on %s", ErrExpired, s.Expires.Format(time.RFC3339))
	case s.From != nil && !Contains(s.From, remote):
		return fmt.Errorf("%w: %s", ErrForbiddenSource, remote)
	}
	return nil
}

// TokenCache remembers tokens whose signature and claims were found good, so
// that a client which shows the same token with every request pays for the
// check once. It is keyed by the SHA-256 of the whole token, bounded, and
// takes no lock. It is safe for concurrent use.
type TokenCache struct{ entries *cache[*Principal] }

// NewTokenCache makes a cache for limit tokens (rounded up to a power of two).
func NewTokenCache(limit int) *TokenCache {
	return &TokenCache{entries: newCache[*Principal](limit)}
}

// Get returns the principal of a token that was put and is still good at now.
func (c *TokenCache) Get(token string, now time.Time) (*Principal, bool) {
	key := digest(token)
	return c.entries.get(&key, now)
}

// Put remembers a verified token until the given time, its expiry plus leeway.
// Use [TokenCache.PutGeneration] where keys can be withdrawn at the same time.
func (c *TokenCache) Put(token string, p *Principal, until time.Time) {
	c.PutGeneration(c.Generation(), token, p, until)
}

// Generation returns a number that [TokenCache.Drop] changes. Read it before
// the keys that a check is going to use.
func (c *TokenCache) Generation() uint64 { return c.entries.generation.Load() }

// PutGeneration is Put, but remembers nothing if the cache was emptied since
// the generation was read: a check that was made with a key which has been
// withdrawn in the meantime must not survive.
func (c *TokenCache) PutGeneration(generation uint64, token string, p *Principal, until time.Time) {
	key := digest(token)
	c.entries.put(generation, &key, p, time.Now(), until)
}

// Drop forgets everything, for example because a signing key was withdrawn.
func (c *TokenCache) Drop() { c.entries.drop() }

// digest is the SHA-256 of a string.
func digest(s string) cacheKey { return sha256.Sum256(bytesOf(s)) }

// bytesOf returns the bytes of a string in place, to be read only: a copy of
// the token for every request would be the only allocation of a hit.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
