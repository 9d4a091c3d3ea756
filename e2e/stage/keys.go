package stage

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// SigningKey is a key of the gateway, read from its storage.
type SigningKey struct {
	Private crypto.Signer
	// ID is the RFC 7638 thumbprint, Alg the JOSE name of its algorithm.
	ID, Alg string
}

// SigningKeys returns the keys that the gateway signs registry tokens with.
func (s *Stage) SigningKeys() ([]SigningKey, error) {
	var keys []SigningKey
	err := filepath.WalkDir(s.Gateway.DataDir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found, err := parseRing(raw)
		keys = append(keys, found...)
		return err
	})
	if err == nil && len(keys) == 0 {
		err = errors.New("no key ring below " + s.Gateway.DataDir())
	}
	if err != nil {
		return nil, fmt.Errorf("read the gateway's signing keys: %w", err)
	}
	return keys, nil
}

// parseRing reads a stored key ring; other files hold no keys.
func parseRing(raw []byte) ([]SigningKey, error) {
	var ring struct {
		Keys []struct {
			Algorithm  string `json:"algorithm"`
			PrivateKey string `json:"private_key"`
		} `json:"keys"`
	}
	if json.Unmarshal(raw, &ring) != nil {
		return nil, nil //nolint:nilerr // what is no JSON is no key ring
	}
	var keys []SigningKey
	for _, k := range ring.Keys {
		block, _ := pem.Decode([]byte(k.PrivateKey))
		if block == nil {
			return nil, errors.New("a private key is not PEM")
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		private, ok := parsed.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("a key of type %T cannot sign", parsed)
		}
		id, err := jose.Thumbprint(private.Public())
		if err != nil {
			return nil, err
		}
		keys = append(keys, SigningKey{Private: private, ID: id, Alg: k.Algorithm})
	}
	return keys, nil
}
