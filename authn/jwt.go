package authn

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// signedToken is a JWT (RFC 7519) in the compact serialization, taken apart
// but not verified.
type signedToken struct {
	algorithm string
	keyID     string
	hasKeyID  bool
	claims    map[string]any
	signed    string // what the signature is over
	signature []byte
}

// maxJSONDepth is how deep headers and claims may be nested.
const maxJSONDepth = 16

// looksLikeJWT reports whether s has the shape of a signed JWT: three parts,
// the first of which is the base64 of what a JSON object begins with, "{" and
// a quote or white space. Few passwords that people choose have it.
func looksLikeJWT(s string) bool {
	return len(s) > 16 && s[0] == 'e' && (s[1] == 'y' || s[1] == 'w') && strings.Count(s, ".") == 2
}

// parseToken takes a token apart. It accepts one spelling of a token only and
// refuses what RFC 8725 advises to: headers that change what is signed or must
// be understood, names that occur twice, types other than JWT. Keys that come
// inside the header (jwk, jku, x5c, x5u) are never looked at. Further types
// that are accepted can be named. If the claims could be read the token is
// returned together with the error, so that it is known whose broken token it
// is.
func parseToken(s string, types ...string) (*signedToken, error) {
	if len(s) > MaxCredential {
		return nil, fmt.Errorf("token is longer than %d bytes", MaxCredential)
	}
	if strings.Count(s, ".") != 2 {
		return nil, errors.New("token has not three parts")
	}
	end := strings.LastIndexByte(s, '.')
	first, second, _ := strings.Cut(s[:end], ".")
	claims, err := decodeObject(second)
	if err != nil {
		return nil, fmt.Errorf("token claims: %w", err)
	}
	t := &signedToken{claims: claims, signed: s[:end]}
	header, err := decodeObject(first)
	if err == nil {
		err = t.setHeader(header, types)
	}
	if err != nil {
		return t, fmt.Errorf("token header: %w", err)
	}
	if t.signature, err = decodeSegment(s[end+1:]); err != nil {
		return t, fmt.Errorf("token signature: %w", err)
	}
	return t, nil
}

func (t *signedToken) setHeader(header map[string]any, types []string) error {
	for _, name := range []string{"crit", "b64", "enc", "zip"} {
		if _, ok := header[name]; ok {
			return fmt.Errorf("parameter %q is not supported", name)
		}
	}
	var ok bool
	if t.algorithm, ok = header["alg"].(string); !ok {
		return errors.New("no alg")
	}
	if typ, present := header["typ"]; present {
		// OpenID Connect does not ask for a type, but what says that it is
		// an access token or a logout token is no ID token.
		if s, _ := typ.(string); !strings.EqualFold(s, "JWT") && !slices.Contains(types, strings.ToLower(s)) {
			return errors.New("typ is not JWT")
		}
	}
	if kid, present := header["kid"]; present {
		if t.keyID, ok = kid.(string); !ok || len(t.keyID) > 255 {
			return errors.New("kid is not a short string")
		}
		t.hasKeyID = true
	}
	return nil
}

// decodeSegment decodes base64url without padding, and only the one spelling
// of it that an encoder makes: [encoding/base64] would skip line breaks.
func decodeSegment(s string) ([]byte, error) {
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("not base64url")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	return b, nil
}

// decodeObject decodes a segment that holds a JSON object.
func decodeObject(segment string) (map[string]any, error) {
	b, err := decodeSegment(segment)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(b) || !json.Valid(b) {
		return nil, errors.New("not JSON in UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("data after the JSON object")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return object, nil
}

// decodeValue decodes as [json.Unmarshal] does into an interface, but refuses
// a name that occurs twice in an object: of such a pair one reader takes the
// first and another the last.
func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, errors.New("JSON is nested too deeply")
	}
	token, err := d.Token()
	if err != nil {
		return nil, errors.New("not JSON")
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			name, err := d.Token()
			key, ok := name.(string)
			if err != nil || !ok {
				return nil, errors.New("not JSON")
			}
			if _, twice := object[key]; twice {
				return nil, fmt.Errorf("name %.40q occurs twice", key)
			}
			if object[key], err = decodeValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return token, nil
}

// signatureAlgorithm is what a name of RFC 7518 §3.1 or RFC 8037 stands for.
type signatureAlgorithm struct {
	family string // "RS", "PS", "ES" or "EdDSA"
	hash   crypto.Hash
	curve  elliptic.Curve // of ES
}

// signatureAlgorithms are all that can be configured. There is no "none", and
// none of the HS family: its key would be the public one.
var signatureAlgorithms = map[string]signatureAlgorithm{
	"RS256": {family: "RS", hash: crypto.SHA256},
	"RS384": {family: "RS", hash: crypto.SHA384},
	"RS512": {family: "RS", hash: crypto.SHA512},
	"PS256": {family: "PS", hash: crypto.SHA256},
	"PS384": {family: "PS", hash: crypto.SHA384},
	"PS512": {family: "PS", hash: crypto.SHA512},
	"ES256": {family: "ES", hash: crypto.SHA256, curve: elliptic.P256()},
	"ES384": {family: "ES", hash: crypto.SHA384, curve: elliptic.P384()},
	"ES512": {family: "ES", hash: crypto.SHA512, curve: elliptic.P521()},
	"EdDSA": {family: "EdDSA"},
}

// CheckAlgorithm returns an error if name is not that of a signature algorithm
// which can be accepted.
func CheckAlgorithm(name string) error {
	if _, ok := signatureAlgorithms[name]; ok {
		return nil
	}
	if name == "none" || strings.HasPrefix(name, "HS") {
		return fmt.Errorf("algorithm %q is not safe for tokens of a provider", name)
	}
	known := strings.Join(slices.Sorted(maps.Keys(signatureAlgorithms)), ", ")
	return fmt.Errorf("algorithm %.20q: want one of %s", name, known)
}

// fits reports whether a public key is of the type, and on the curve, that the
// algorithm is for.
func (a signatureAlgorithm) fits(public crypto.PublicKey) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return a.family == "RS" || a.family == "PS"
	case *ecdsa.PublicKey:
		return a.family == "ES" && a.curve == k.Curve
	case ed25519.PublicKey:
		return a.family == "EdDSA"
	}
	return false
}

// verify reports whether signature is public's over signed. The key must fit.
func (a signatureAlgorithm) verify(public crypto.PublicKey, signed string, signature []byte) bool {
	if !a.fits(public) {
		return false
	}
	if k, ok := public.(ed25519.PublicKey); ok {
		return ed25519.Verify(k, []byte(signed), signature)
	}
	h := a.hash.New()
	h.Write([]byte(signed))
	sum := h.Sum(nil)
	switch k := public.(type) {
	case *rsa.PublicKey:
		if a.family == "PS" {
			return rsa.VerifyPSS(k, a.hash, sum, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(k, a.hash, sum, signature) == nil
	case *ecdsa.PublicKey:
		size := (a.curve.Params().BitSize + 7) / 8
		if len(signature) != 2*size { // RFC 7518 §3.4: r and s, never DER
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(k, sum, r, s)
	}
	return false
}

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
