package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
)

// JWK returns the public key as RFC 7517 writes it, with kid (its RFC 7638
// thumbprint), use and alg.
func JWK(public crypto.PublicKey) (Object, error) {
	jwk, alg, err := required(public)
	if err != nil {
		return nil, err
	}
	kid := Encode(thumbprint(jwk))
	return jwk.With("kid", kid).With("use", "sig").With("alg", alg), nil
}

// Thumbprint returns the RFC 7638 SHA-256 thumbprint of the public key.
func Thumbprint(public crypto.PublicKey) (string, error) {
	jwk, _, err := required(public)
	if err != nil {
		return "", err
	}
	return Encode(thumbprint(jwk)), nil
}

// thumbprint hashes the required members, which encoding/json sorts as
// RFC 7638 wants them.
func thumbprint(required Object) []byte {
	sum := sha256.Sum256(required.Bytes())
	return sum[:]
}

func required(public crypto.PublicKey) (Object, string, error) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 0x04, x, y
		if err != nil {
			return nil, "", err
		}
		half := (len(point) - 1) / 2
		return Object{
			"kty": "EC", "crv": k.Curve.Params().Name,
			"x": Encode(point[1 : 1+half]), "y": Encode(point[1+half:]),
		}, "ES256", nil
	case *rsa.PublicKey:
		return Object{"kty": "RSA", "n": Encode(k.N.Bytes()), "e": Encode(big.NewInt(int64(k.E)).Bytes())}, "RS256", nil
	case ed25519.PublicKey:
		return Object{"kty": "OKP", "crv": "Ed25519", "x": Encode(k)}, "EdDSA", nil
	default:
		return nil, "", fmt.Errorf("no JWK for a key of type %T", public)
	}
}
