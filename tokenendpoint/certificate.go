package tokenendpoint

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"time"
)

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
func (r *KeyRing) CertificateBundle() []byte { return r.current.Load().certificates.body }

// NewCertificatesHandler publishes the certificate bundle of a ring.
func NewCertificatesHandler(ring *KeyRing) http.Handler {
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
