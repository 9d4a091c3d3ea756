package tokenendpoint

import (
	"bytes"
	"context"
	"io/fs"
	"sync"
)

// KeyStore keeps the one document that holds the signing keys. Gateways that
// share a store share their keys. Implementations are safe for concurrent use.
type KeyStore interface {
	// Load returns the document, [fs.ErrNotExist] if there is none yet.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces the document, wholly or not at all. It holds private
	// keys: nobody but the gateway may read it.
	Save(ctx context.Context, document []byte) error
	// Lock keeps every other gateway from changing the document until
	// unlock is called.
	Lock(ctx context.Context) (unlock func(), err error)
}

// MemoryKeyStore is a KeyStore that forgets everything when the process ends:
// for tests and throw-away gateways.
type MemoryKeyStore struct {
	lock     sync.Mutex // what Lock hands out
	mu       sync.Mutex // guards document
	document []byte
}

// NewMemoryKeyStore returns an empty store.
func NewMemoryKeyStore() *MemoryKeyStore { return &MemoryKeyStore{} }

// Load implements [KeyStore].
func (s *MemoryKeyStore) Load(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.document == nil {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(s.document), nil
}

// Save implements [KeyStore].
func (s *MemoryKeyStore) Save(_ context.Context, document []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.document = append([]byte{}, document...)
	return nil
}

// Lock implements [KeyStore].
func (s *MemoryKeyStore) Lock(context.Context) (func(), error) {
	s.lock.Lock()
	return s.lock.Unlock, nil
}
