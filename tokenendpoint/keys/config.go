package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What a Config that leaves them zero gets.
const (
	DefaultLifetime    = 5 * time.Minute
	DefaultRotateEvery = 90 * 24 * time.Hour
	DefaultPublish     = time.Hour
	DefaultReload      = time.Minute
)

// Leeway is how long after its expiry a token is still taken, for clocks that
// differ; Distribution grants the same.
const Leeway = time.Minute

// missInterval is the least time between two looks into the store because of
// tokens with an unknown key id: anybody can send such tokens.
const missInterval = 5 * time.Second

// Config says how the keys of a ring are made and used.
type Config struct {
	// Algorithm of new keys and of new tokens; default ES256.
	Algorithm Algorithm
	// KeyID is the format of published key ids; default Thumbprint.
	KeyID IDFormat
	// X5C puts the key's certificate into the header of each token.
	X5C bool
	// RotateEvery is how long a key signs; zero: DefaultRotateEvery,
	// negative: until somebody calls Rotate.
	RotateEvery time.Duration
	// Publish is how long before its first use a new key is published, so
	// that who caches the key set has it in time. Zero: DefaultPublish.
	Publish time.Duration
	// Lifetime is the longest lifetime of a token: a key that has stopped to
	// sign is accepted for so long, plus leeway. Zero: DefaultLifetime.
	Lifetime time.Duration
	// Grace is how long beyond that what a token has begun may go on: a key
	// that is not accepted any more still tells an expired token from a forged
	// one, and opens what was sealed with it.
	Grace time.Duration
	// Reload is the interval at which Run looks for changes that other
	// gateways have made. Zero: DefaultReload.
	Reload time.Duration
	// Now replaces the clock in tests.
	Now func() time.Time
	// Log gets what goes wrong in the background, and rotations. May be nil.
	Log *slog.Logger
}

// withDefaults fills in what was left zero and refuses what is unknown.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Algorithm, ES256)
	setDefault(&c.KeyID, Thumbprint)
	setDefault(&c.RotateEvery, DefaultRotateEvery)
	setDefault(&c.Publish, DefaultPublish)
	setDefault(&c.Lifetime, DefaultLifetime)
	setDefault(&c.Reload, DefaultReload)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Algorithm.method() == nil {
		return c, fmt.Errorf("algorithm %q: want ES256, RS256 or EdDSA", c.Algorithm)
	}
	if c.KeyID != Thumbprint && c.KeyID != Libtrust {
		return c, fmt.Errorf("key id format %q: want thumbprint or libtrust", c.KeyID)
	}
	if c.RotateEvery > 0 && c.RotateEvery < 2*c.Publish {
		return c, fmt.Errorf("rotating keys every %s: want at least %s, twice the time a key is published before it signs",
			c.RotateEvery, 2*c.Publish)
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// keep is how long a key is accepted after it has stopped to sign: the life
// of the last token, its leeway, and as much again for gateways whose clocks
// differ.
func (c *Config) keep() time.Duration { return c.Lifetime + 2*Leeway }

// recall is how long a key is kept after it has stopped to sign.
func (c *Config) recall() time.Duration { return c.keep() + c.Grace }

// Validate reports the first setting that can't be used.
func (c Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

// Algorithm is how registry tokens are signed (RFC 7518 §3.1, RFC 8037 §3.1).
type Algorithm string

// The algorithms on offer. A Distribution 2.8 that verifies tokens itself
// knows ES256 and RS256 only.
const (
	ES256 Algorithm = "ES256"
	RS256 Algorithm = "RS256"
	EdDSA Algorithm = "EdDSA"
)

const rsaBits = 2048

// method returns the signature scheme, nil for an unknown algorithm.
func (a Algorithm) method() jwt.SigningMethod {
	switch a {
	case ES256:
		return jwt.SigningMethodES256
	case RS256:
		return jwt.SigningMethodRS256
	case EdDSA:
		return jwt.SigningMethodEdDSA
	}
	return nil
}

// newPrivateKey makes a key for the algorithm.
func (a Algorithm) newPrivateKey() (crypto.Signer, error) {
	switch a {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("unknown algorithm %q", a)
}

// fits reports whether a public key is one for the algorithm.
func (a Algorithm) fits(public crypto.PublicKey) bool {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		return a == ES256 && public.Curve == elliptic.P256()
	case *rsa.PublicKey:
		return a == RS256 && public.N.BitLen() >= rsaBits
	case ed25519.PublicKey:
		return a == EdDSA
	}
	return false
}
