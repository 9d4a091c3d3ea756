package keys

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// key is one signing key, ready for use.
type key struct {
	algorithm   Algorithm
	method      jwt.SigningMethod
	private     crypto.Signer
	public      crypto.PublicKey
	certificate []byte // DER

	id     string   // the "kid" that is published and signed with
	ids    []string // every "kid" it is found under
	header string   // encoded JOSE header with the trailing dot

	useFrom   time.Time
	retiredAt time.Time // zero: not retired
}

// signs reports whether new tokens may be signed with the key.
func (k *key) signs(now time.Time) bool {
	return !now.Before(k.useFrom) && (k.retiredAt.IsZero() || now.Before(k.retiredAt))
}

// acceptedUntil returns when tokens signed with the key are refused, zero if
// that is not known yet.
func (k *key) acceptedUntil(keep time.Duration) time.Time {
	if k.retiredAt.IsZero() {
		return time.Time{}
	}
	return k.retiredAt.Add(keep)
}

// over reports whether the key has stopped to sign for longer than a time.
func (k *key) over(keep time.Duration, now time.Time) bool {
	until := k.acceptedUntil(keep)
	return !until.IsZero() && !now.Before(until)
}

// sign appends the payload and the signature to the header.
func (k *key) sign(payload []byte) (string, error) {
	encoding := base64.RawURLEncoding
	const signatureSpace = 1 + 344 // of RS256 with 2048 bits
	token := make([]byte, 0, len(k.header)+encoding.EncodedLen(len(payload))+signatureSpace)
	token = append(token, k.header...)
	token = encoding.AppendEncode(token, payload)
	signature, err := k.method.Sign(string(token), k.private)
	if err != nil {
		return "", fmt.Errorf("signing with key %s: %w", k.id, err)
	}
	token = append(token, '.')
	return string(encoding.AppendEncode(token, signature)), nil
}

// newKey reads a key of the ring document.
func newKey(d keyDocument, format IDFormat, x5c bool) (*key, error) {
	der, err := decodePEM(privateKeyBlock, d.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("private_key: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("private_key: not a PKCS #8 key")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok || !d.Algorithm.fits(private.Public()) {
		return nil, fmt.Errorf("private_key: not a key for algorithm %q", d.Algorithm)
	}
	certificate, err := decodePEM(certificateBlock, d.Certificate)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if err := certifies(certificate, private.Public()); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if d.UseFrom.IsZero() {
		return nil, errors.New("use_from: missing")
	}
	k := &key{
		algorithm: d.Algorithm, method: d.Algorithm.method(),
		private: private, public: private.Public(), certificate: certificate,
		useFrom: d.UseFrom, retiredAt: d.RetiredAt,
	}
	return k, k.name(format, x5c)
}

func certifies(certificate []byte, public crypto.PublicKey) error {
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		return errors.New("not an X.509 certificate")
	}
	if own, ok := public.(comparableKey); !ok || !own.Equal(parsed.PublicKey) {
		return errors.New("of another key")
	}
	return nil
}

// name computes the ids and the header, which is the same for every token.
// The key is found under both ids, so that a change of the format leaves the
// tokens in circulation valid.
func (k *key) name(format IDFormat, x5c bool) error {
	for _, f := range []IDFormat{Thumbprint, Libtrust} {
		id, err := f.id(k.public)
		if err != nil {
			return err
		}
		k.ids = append(k.ids, id)
		if f == format {
			k.id = id
		}
	}
	header := struct {
		Algorithm   Algorithm `json:"alg"`
		ID          string    `json:"kid"`
		Type        string    `json:"typ"`
		Certificate [][]byte  `json:"x5c,omitempty"` // standard base64, RFC 7515 §4.1.6
	}{Algorithm: k.algorithm, ID: k.id, Type: "JWT"}
	if x5c {
		header.Certificate = [][]byte{k.certificate}
	}
	encoded, err := json.Marshal(header)
	if err != nil {
		return err
	}
	k.header = base64.RawURLEncoding.EncodeToString(encoded) + "."
	return nil
}

// comparableKey is what the public keys of the standard library are.
type comparableKey interface {
	Equal(other crypto.PublicKey) bool
}

// IDFormat is how the "kid" of a key is computed. Registries that verify
// tokens themselves compute it again from their copy of the key, so it has to
// be the one they know.
type IDFormat string

// The formats: the RFC 7638 thumbprint of Distribution 3 and everything
// modern, and the fingerprint of libtrust, which Distribution 2 expects.
const (
	Thumbprint IDFormat = "thumbprint"
	Libtrust   IDFormat = "libtrust"
)

// id returns the key id of a public key in this format.
func (f IDFormat) id(public crypto.PublicKey) (string, error) {
	if f == Libtrust {
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
