package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Bounds of a provider's key set.
const (
	maxKeys    = 256
	minRSABits = 2048
	maxRSABits = 8192 // a check with more costs milliseconds
)

// verificationKey is a key that signs tokens of a provider.
type verificationKey struct {
	id        string
	algorithm string // the only one it may be used with; empty: all that fit
	public    crypto.PublicKey
}

// providerKeys is what a provider's JWKS said at one time. It is immutable.
type providerKeys struct {
	list    []verificationKey
	fetched time.Time
}

// jsonWebKey is the part of RFC 7517 and RFC 7518 §6 that a signature check
// needs. Certificates (x5c, x5u) are not looked at: that the set came from the
// provider is what makes its keys good.
type jsonWebKey struct {
	Type       string   `json:"kty"`
	ID         string   `json:"kid"`
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`
	Algorithm  string   `json:"alg"`
	Curve      string   `json:"crv"`
	N, E, X, Y string
}

// parseJWKS reads a JWK set. Keys that cannot sign tokens, symmetric ones,
// ones too small or too big, and ones that are broken are left out; a set with
// none left is an error, for no provider means to lock everybody out.
func parseJWKS(body []byte, now time.Time) (*providerKeys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("key set is not JSON")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("key set has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	keys := &providerKeys{fetched: now}
	for _, raw := range set.Keys {
		var k jsonWebKey
		if json.Unmarshal(raw, &k) != nil || len(k.ID) > 255 {
			continue
		}
		if k.Use != "" && k.Use != "sig" || k.Operations != nil && !slices.Contains(k.Operations, "verify") {
			continue
		}
		if public := k.public(); public != nil {
			keys.list = append(keys.list, verificationKey{id: k.ID, algorithm: k.Algorithm, public: public})
		}
	}
	if len(keys.list) == 0 {
		return nil, errors.New("key set has no usable signing key")
	}
	return keys, nil
}

// public returns the key, nil if it is of no use.
func (k *jsonWebKey) public() crypto.PublicKey {
	switch k.Type {
	case "RSA":
		return k.rsa()
	case "EC":
		return k.ec()
	case "OKP":
		if x, err := decodeSegment(k.X); k.Curve == "Ed25519" && err == nil && len(x) == ed25519.PublicKeySize {
			return ed25519.PublicKey(x)
		}
	}
	return nil
}

func (k *jsonWebKey) rsa() crypto.PublicKey {
	n, errN := decodeSegment(k.N)
	e, errE := decodeSegment(k.E)
	if errN != nil || errE != nil || len(n) > maxRSABits/8+1 || len(e) > 4 {
		return nil
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits || key.E < 3 || key.E%2 == 0 || key.E > 1<<31-1 {
		return nil
	}
	return key
}

func (k *jsonWebKey) ec() crypto.PublicKey {
	curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[k.Curve]
	if !ok {
		return nil
	}
	size := (curve.Params().BitSize + 7) / 8
	x, errX := decodeSegment(k.X)
	y, errY := decodeSegment(k.Y)
	if errX != nil || errY != nil || len(x) != size || len(y) != size {
		return nil
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil // not on the curve
	}
	return key
}

// find returns the keys that a token may be signed with: those of its key ID
// or, if it names none, the only one that fits its algorithm.
func (ks *providerKeys) find(t *signedToken) ([]verificationKey, error) {
	algorithm := signatureAlgorithms[t.algorithm]
	var found []verificationKey
	for _, k := range ks.list {
		if t.hasKeyID && k.id != t.keyID {
			continue
		}
		if algorithm.fits(k.public) && (k.algorithm == "" || k.algorithm == t.algorithm) {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0:
		return nil, errUnknownKey
	case len(found) > 1 && !t.hasKeyID:
		return nil, fmt.Errorf("%w: names no key, and %d keys of the provider fit", ErrInvalid, len(found))
	}
	return found, nil
}

// errUnknownKey: no key of the set fits; the provider may have a newer set.
var errUnknownKey = fmt.Errorf("%w: signed with a key that the provider does not publish", ErrInvalid)

// has reports whether the set has the very same key.
func (ks *providerKeys) has(k verificationKey) bool {
	return slices.ContainsFunc(ks.list, func(other verificationKey) bool {
		public, ok := other.public.(comparableKey)
		return ok && other.id == k.id && other.algorithm == k.algorithm && public.Equal(k.public)
	})
}

// comparableKey is what the public keys of the standard library are.
type comparableKey interface {
	Equal(other crypto.PublicKey) bool
}
