package tokenendpoint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

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
