// Package jose signs tokens for the tests with full control over every byte,
// so that broken and hostile ones can be made as well as good ones. It shares
// no code with the gateway or with the libraries that the gateway uses.
package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// Encode is the base64url encoding without padding that JOSE uses.
func Encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Object is a header or a set of claims.
type Object map[string]any

// Bytes returns the object as JSON.
func (o Object) Bytes() []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(fmt.Sprintf("jose: %v in a test object", err)) // tests build these from literals
	}
	return b
}

// With returns a copy with one member set; a nil value removes it.
func (o Object) With(name string, value any) Object {
	c := maps.Clone(o)
	if c == nil {
		c = Object{}
	}
	if value == nil {
		delete(c, name)
	} else {
		c[name] = value
	}
	return c
}

// Signer makes the signature over the signing input of a compact JWS.
type Signer func(input []byte) ([]byte, error)

// Compact returns header and payload, both as given, with a signature.
func Compact(header, payload []byte, sign Signer) (string, error) {
	input := Encode(header) + "." + Encode(payload)
	signature, err := sign([]byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + Encode(signature), nil
}

// KeySigner signs with a private key as its "alg" demands: ES256 (r and s side
// by side), RS256, PS256 or EdDSA.
func KeySigner(key crypto.Signer, alg string) Signer {
	return func(input []byte) ([]byte, error) {
		sum := sha256.Sum256(input)
		switch k := key.(type) {
		case *ecdsa.PrivateKey:
			r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
			if err != nil {
				return nil, err
			}
			size := (k.Curve.Params().BitSize + 7) / 8
			out := make([]byte, 2*size)
			r.FillBytes(out[:size])
			s.FillBytes(out[size:])
			return out, nil
		case *rsa.PrivateKey:
			if alg == "PS256" {
				return rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
			}
			return rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		case ed25519.PrivateKey:
			return ed25519.Sign(k, input), nil
		default:
			return nil, fmt.Errorf("sign: no algorithm for a key of type %T", key)
		}
	}
}

// HMAC signs with HS256.
func HMAC(key []byte) Signer {
	return func(input []byte) ([]byte, error) {
		m := hmac.New(sha256.New, key)
		m.Write(input)
		return m.Sum(nil), nil
	}
}

// Fixed returns the same bytes whatever is signed.
func Fixed(signature []byte) Signer {
	return func([]byte) ([]byte, error) { return signature, nil }
}

// Parts is a compact JWS taken apart.
type Parts struct {
	Header, Claims Object
	Signature      []byte
}

// Parse takes a compact JWS apart without verifying anything.
func Parse(token string) (*Parts, error) {
	fields := strings.Split(token, ".")
	if len(fields) != 3 {
		return nil, fmt.Errorf("a compact token has 3 parts, this one has %d", len(fields))
	}
	var raw [3][]byte
	for i, f := range fields {
		b, err := base64.RawURLEncoding.DecodeString(f)
		if err != nil {
			return nil, fmt.Errorf("part %d of the token: %w", i+1, err)
		}
		raw[i] = b
	}
	p := &Parts{Signature: raw[2]}
	if err := json.Unmarshal(raw[0], &p.Header); err != nil {
		return nil, fmt.Errorf("header of the token: %w", err)
	}
	if err := json.Unmarshal(raw[1], &p.Claims); err != nil {
		return nil, fmt.Errorf("claims of the token: %w", err)
	}
	return p, nil
}
