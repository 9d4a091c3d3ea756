package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
)

// publication is a public document about the keys of a ring, made once for
// each change of the ring.
type publication struct {
	contentType string
	body        []byte
	length      string
	etag        string
}

func publish(contentType string, body []byte) publication {
	sum := sha256.Sum256(body)
	return publication{
		contentType: contentType, body: body, length: strconv.Itoa(len(body)),
		etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
}

// serve answers with the document. It may be cached: a key is published well
// before it signs.
func (p *publication) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		answer.Write(w, r, http.StatusMethodNotAllowed, answer.CodeUnsupported, "keys can only be read", nil)
		return
	}
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Etag", p.etag)
	if r.Header.Get("If-None-Match") == p.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", p.contentType)
	h.Set("Content-Length", p.length)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(p.body) // the client went away: nobody to tell
	}
}

// jwk is a public key in the form of RFC 7517; binary members are base64url.
type jwk struct {
	Type      string    `json:"kty"`
	Use       string    `json:"use,omitempty"`
	Algorithm Algorithm `json:"alg,omitempty"`
	ID        string    `json:"kid,omitempty"`
	Curve     string    `json:"crv,omitempty"`
	X         string    `json:"x,omitempty"`
	Y         string    `json:"y,omitempty"`
	N         string    `json:"n,omitempty"`
	E         string    `json:"e,omitempty"`
}

func newJWK(public crypto.PublicKey) (jwk, error) {
	encode := base64.RawURLEncoding.EncodeToString
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, X, Y
		if err != nil {
			return jwk{}, err
		}
		half := 1 + len(point)/2
		return jwk{
			Type: "EC", Curve: public.Curve.Params().Name,
			X: encode(point[1:half]), Y: encode(point[half:]),
		}, nil
	case *rsa.PublicKey:
		e := big.NewInt(int64(public.E)).Bytes()
		return jwk{Type: "RSA", N: encode(public.N.Bytes()), E: encode(e)}, nil
	case ed25519.PublicKey:
		return jwk{Type: "OKP", Curve: "Ed25519", X: encode(public)}, nil
	}
	return jwk{}, fmt.Errorf("unknown kind of public key %T", public)
}

// publishJWKS makes the key set (RFC 7517 §5).
func publishJWKS(keys []*key) (publication, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: make([]jwk, 0, len(keys))}
	for _, k := range keys {
		published, err := newJWK(k.public)
		if err != nil {
			return publication{}, err
		}
		published.Use, published.Algorithm, published.ID = "sig", k.algorithm, k.id
		set.Keys = append(set.Keys, published)
	}
	body, err := json.Marshal(set)
	return publish("application/jwk-set+json", body), err
}

// JWKS returns the public keys as a JSON Web Key Set: those about to sign and
// those that have signed tokens which are still alive included.
func (r *Ring) JWKS() []byte { return r.current.Load().jwks.body }

// NewJWKSHandler publishes the key set of a ring.
func NewJWKSHandler(ring *Ring) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { ring.current.Load().jwks.serve(w, r) })
}

// certificateYears is longer than any key signs: what ends a key is its
// withdrawal from the ring, not the date in its certificate.
const certificateYears = 20

// newCertificate makes a self-signed certificate that carries the public key
// to registries which want "rootcertbundle" or the "x5c" header. It says
// nothing about a host and is of no use for TLS.
func newCertificate(private crypto.Signer, now time.Time) ([]byte, error) {
	id, err := thumbprint(private.Public())
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "registry token signing key " + id[:16]},
		// Verifiers whose clock is behind must not refuse the first tokens.
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.AddDate(certificateYears, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	return x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
}

// publishCertificates makes the PEM bundle.
func publishCertificates(keys []*key) publication {
	var bundle bytes.Buffer
	for _, k := range keys {
		bundle.WriteString(encodePEM(certificateBlock, k.certificate))
	}
	return publish("application/x-pem-file", bundle.Bytes())
}

// CertificateBundle returns the certificates of all published keys as PEM:
// the file that Distribution's "auth.token.rootcertbundle" names.
func (r *Ring) CertificateBundle() []byte { return r.current.Load().certificates.body }

// NewCertificatesHandler publishes the certificate bundle of a ring.
func NewCertificatesHandler(ring *Ring) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { ring.current.Load().certificates.serve(w, r) })
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// decodePEM returns the one block of this kind in text.
func decodePEM(kind, text string) ([]byte, error) {
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errors.New("no PEM block")
	case block.Type != kind:
		return nil, fmt.Errorf("PEM block is %q, want %q", block.Type, kind)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("text after the PEM block")
	}
	return block.Bytes, nil
}
