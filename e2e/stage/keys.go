package stage

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// SigningKey is a key of the gateway, read from its storage.
type SigningKey struct {
	Private crypto.Signer
	// ID is the RFC 7638 thumbprint, Alg the JOSE name of its algorithm.
	ID, Alg string
}

// ringDocument is how the stored key ring stands in the store's file.
var ringDocument = regexp.MustCompile(`"document":"([A-Za-z0-9+/=]+)"`)

// SigningKeys returns the keys that the gateway signs registry tokens with, and
// perhaps some that it had before: the file is searched, not understood.
func (s *Stage) SigningKeys() ([]SigningKey, error) {
	file := filepath.Join(s.Gateway.DataDir(), "registry_auth", "state.db")
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the gateway's signing keys: %w", err)
	}
	var keys []SigningKey
	for _, found := range ringDocument.FindAllSubmatch(raw, -1) {
		document, err := base64.StdEncoding.DecodeString(string(found[1]))
		if err != nil {
			continue // the rest of an older one
		}
		ring, err := parseRing(document)
		if err != nil {
			return nil, fmt.Errorf("read the gateway's signing keys: %w", err)
		}
		for _, k := range ring {
			if !slices.ContainsFunc(keys, func(have SigningKey) bool { return have.ID == k.ID }) {
				keys = append(keys, k)
			}
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no key ring in " + file)
	}
	return keys, nil
}

// parseRing reads a stored key ring; other documents hold no keys.
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
