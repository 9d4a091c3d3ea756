package tokenendpoint

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ringVersion is the format of the stored document. A gateway refuses a
// document that a newer one has written: it would lose what it can't read.
const ringVersion = 1

const (
	privateKeyBlock  = "PRIVATE KEY"
	certificateBlock = "CERTIFICATE"
)

// ErrKeyRing is wrapped by every error about a stored key ring that can't be
// used. New keys are never made in its place: every gateway and every registry
// that trusts the old ones would be cut off without anybody having decided it.
var ErrKeyRing = errors.New("stored signing keys can't be used")

// ringDocument is what the store keeps.
type ringDocument struct {
	Version int           `json:"version"`
	Keys    []keyDocument `json:"keys"`
}

// keyDocument is one key of it: PKCS #8 and X.509, both PEM.
type keyDocument struct {
	Algorithm   Algorithm `json:"algorithm"`
	Created     time.Time `json:"created"`
	UseFrom     time.Time `json:"use_from"`
	RetiredAt   time.Time `json:"retired_at,omitzero"`
	PrivateKey  string    `json:"private_key"`
	Certificate string    `json:"certificate"`
}

func parseRing(raw []byte) (*ringDocument, error) {
	doc := new(ringDocument)
	if err := json.Unmarshal(raw, doc); err != nil {
		// The decoder's own message may quote what it read.
		return nil, fmt.Errorf("%w: not a JSON document of this format (%d bytes)", ErrKeyRing, len(raw))
	}
	switch {
	case doc.Version > ringVersion:
		return nil, fmt.Errorf("%w: format %d is of a newer version of this program, which reads format %d",
			ErrKeyRing, doc.Version, ringVersion)
	case doc.Version != ringVersion:
		return nil, fmt.Errorf("%w: format %d is unknown", ErrKeyRing, doc.Version)
	case len(doc.Keys) == 0:
		return nil, fmt.Errorf("%w: the document holds no key", ErrKeyRing)
	}
	return doc, nil
}

func (d *ringDocument) encode() ([]byte, error) { return json.MarshalIndent(d, "", "  ") }

// newKeyDocument makes a key that signs from useFrom on.
func newKeyDocument(algorithm Algorithm, now, useFrom time.Time) (keyDocument, error) {
	private, err := algorithm.newPrivateKey()
	if err != nil {
		return keyDocument{}, err
	}
	return describeKey(algorithm, private, now, useFrom)
}

func describeKey(algorithm Algorithm, private crypto.Signer, now, useFrom time.Time) (keyDocument, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return keyDocument{}, err
	}
	certificate, err := newCertificate(private, now)
	if err != nil {
		return keyDocument{}, err
	}
	return keyDocument{
		Algorithm: algorithm, Created: now.UTC(), UseFrom: useFrom.UTC(),
		PrivateKey:  encodePEM(privateKeyBlock, der),
		Certificate: encodePEM(certificateBlock, certificate),
	}, nil
}
