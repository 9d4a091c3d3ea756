package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

// Store keeps the one document that holds the signing keys. Gateways that
// share a store share their keys. Implementations are safe for concurrent use.
type Store interface {
	// Load returns the document, [fs.ErrNotExist] if there is none yet.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces the document, wholly or not at all. It holds private
	// keys: nobody but the gateway may read it.
	Save(ctx context.Context, document []byte) error
	// Lock keeps every other gateway from changing the document until
	// unlock is called.
	Lock(ctx context.Context) (unlock func(), err error)
}

// MemoryStore is a Store that forgets everything when the process ends:
// for tests and throw-away gateways.
type MemoryStore struct {
	lock     sync.Mutex // what Lock hands out
	mu       sync.Mutex // guards document
	document []byte
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore { return &MemoryStore{} }

// Load implements [Store].
func (s *MemoryStore) Load(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.document == nil {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(s.document), nil
}

// Save implements [Store].
func (s *MemoryStore) Save(_ context.Context, document []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.document = append([]byte{}, document...)
	return nil
}

// Lock implements [Store].
func (s *MemoryStore) Lock(context.Context) (func(), error) {
	s.lock.Lock()
	return s.lock.Unlock, nil
}

// documentVersion is the format of the stored document. A gateway refuses a
// document that a newer one has written: it would lose what it can't read.
const documentVersion = 1

const (
	privateKeyBlock  = "PRIVATE KEY"
	certificateBlock = "CERTIFICATE"
)

// ErrRing is wrapped by every error about a stored key ring that can't be
// used. New keys are never made in its place: every gateway and every registry
// that trusts the old ones would be cut off without anybody having decided it.
var ErrRing = errors.New("stored signing keys can't be used")

// document is what the store keeps.
type document struct {
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

func parseRing(raw []byte) (*document, error) {
	doc := new(document)
	if err := json.Unmarshal(raw, doc); err != nil {
		// The decoder's own message may quote what it read.
		return nil, fmt.Errorf("%w: not a JSON document of this format (%d bytes)", ErrRing, len(raw))
	}
	switch {
	case doc.Version > documentVersion:
		return nil, fmt.Errorf("%w: format %d is of a newer version of this program, which reads format %d",
			ErrRing, doc.Version, documentVersion)
	case doc.Version != documentVersion:
		return nil, fmt.Errorf("%w: format %d is unknown", ErrRing, doc.Version)
	case len(doc.Keys) == 0:
		return nil, fmt.Errorf("%w: the document holds no key", ErrRing)
	}
	return doc, nil
}

func (d *document) encode() ([]byte, error) { return json.MarshalIndent(d, "", "  ") }

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
