package tokenendpoint

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"
)

// KeyIDFormat is how the "kid" of a key is computed. Registries that verify
// tokens themselves compute it again from their copy of the key, so it has to
// be the one they know.
type KeyIDFormat string

// The formats: the RFC 7638 thumbprint of Distribution 3 and everything
// modern, and the fingerprint of libtrust, which Distribution 2 expects.
const (
	KeyIDThumbprint KeyIDFormat = "thumbprint"
	KeyIDLibtrust   KeyIDFormat = "libtrust"
)

// id returns the key id of a public key in this format.
func (f KeyIDFormat) id(public crypto.PublicKey) (string, error) {
	if f == KeyIDLibtrust {
		return libtrustID(public)
	}
	return thumbprint(public)
}

// thumbprint is the base64url SHA-256 of the key's required JWK members in
// lexicographic order (RFC 7638 §3, RFC 8037 §2).
func thumbprint(public crypto.PublicKey) (string, error) {
	k, err := newJWK(public)
	if err != nil {
		return "", err
	}
	var members string
	switch k.Type {
	case "EC":
		members = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, k.Curve, k.X, k.Y)
	case "RSA":
		members = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, k.E, k.N)
	default:
		members = fmt.Sprintf(`{"crv":%q,"kty":"OKP","x":%q}`, k.Curve, k.X)
	}
	sum := sha256.Sum256([]byte(members))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// libtrustID is base32 of the first 240 bits of SHA-256 over the DER form of
// the public key, in twelve groups of four.
func libtrustID(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	text := base32.StdEncoding.EncodeToString(sum[:30])
	groups := make([]string, 0, 12)
	for ; text != ""; text = text[4:] {
		groups = append(groups, text[:4])
	}
	return strings.Join(groups, ":"), nil
}
