package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

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
