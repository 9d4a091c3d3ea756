package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// minRSA is the shortest RSA key that is accepted, in bits.
const minRSA = 2048

// maxRSA bounds the work of one verification, in bits.
const maxRSA = 8192

// PublicKey is a key that signatures may be made with.
type PublicKey struct {
	key any
	der []byte // PKIX form
}

// ParseKeys reads the public keys of a PEM text ("PUBLIC KEY", PKIX), of
// which there must be at least one: ECDSA P-256, P-384, P-521, Ed25519, or
// RSA of at least 2048 bits. Anything else in the text is an error.
func ParseKeys(text []byte) ([]PublicKey, error) {
	var keys []PublicKey
	rest := bytes.TrimSpace(text)
	for len(rest) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || !bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")) {
			return nil, errors.New("is not PEM: want -----BEGIN PUBLIC KEY-----")
		}
		if block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("is a PEM block %q: want the public key, as `cosign public-key` writes it", block.Type)
		}
		key, err := parseKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
		rest = bytes.TrimSpace(rest)
	}
	if len(keys) == 0 {
		return nil, errors.New("is empty: want a public key in PEM form")
	}
	return keys, nil
}

func parseKey(der []byte) (PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return PublicKey{}, errors.New("is not a public key that can be read")
	}
	switch key := parsed.(type) {
	case *ecdsa.PublicKey:
		if ecdsaHashes(key) == nil {
			return PublicKey{}, fmt.Errorf("is on the curve %s: want P-256, P-384 or P-521", key.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSA || n > maxRSA {
			return PublicKey{}, fmt.Errorf("is an RSA key of %d bits: want %d to %d", n, minRSA, maxRSA)
		}
	default:
		return PublicKey{}, errors.New("is of a kind that is not supported: want ECDSA, Ed25519 or RSA")
	}
	return PublicKey{key: parsed, der: der}, nil
}

// ecdsaHashes are the hashes that signatures of a key may be over: cosign
// takes SHA-256 whatever the curve, and newer versions the curve's own.
func ecdsaHashes(key *ecdsa.PublicKey) []crypto.Hash {
	switch key.Curve.Params().Name {
	case "P-256":
		return []crypto.Hash{crypto.SHA256}
	case "P-384":
		return []crypto.Hash{crypto.SHA256, crypto.SHA384}
	case "P-521":
		return []crypto.Hash{crypto.SHA256, crypto.SHA512}
	}
	return nil
}

// verifies reports whether a signature over a message is this key's.
func (k PublicKey) verifies(message, signature []byte) bool {
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		for _, hash := range ecdsaHashes(key) {
			if ecdsa.VerifyASN1(key, sum(hash, message), signature) {
				return true
			}
		}
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature)
	case *rsa.PublicKey:
		hashed := sum(crypto.SHA256, message)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, hashed, signature) == nil ||
			rsa.VerifyPSS(key, crypto.SHA256, hashed, signature, nil) == nil
	}
	return false
}

func sum(hash crypto.Hash, message []byte) []byte {
	switch hash {
	case crypto.SHA384:
		s := sha512.Sum384(message)
		return s[:]
	case crypto.SHA512:
		s := sha512.Sum512(message)
		return s[:]
	default:
		s := sha256.Sum256(message)
		return s[:]
	}
}
