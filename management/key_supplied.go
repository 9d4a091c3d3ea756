package management

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// minSuppliedKey is how long a key of somebody else's making must be, in
// characters, maxSuppliedKey how long it may be.
const (
	minSuppliedKey = minStaticKey
	maxSuppliedKey = 256
)

// suppliedKey returns the public id and the stored form of a key that was not
// made here: one in our own format, or any text that is long enough to be
// random. Errors never repeat it.
func suppliedKey(key string) (id, stored string, err error) {
	parsed, err := authn.ParseSecret(key)
	switch {
	case err == nil && parsed.Kind != authn.SecretAPIKey:
		return "", "", fmt.Errorf("it is a secret for something else (%s_…)", parsed.Kind)
	case err == nil:
		stored, err = authn.HashSecret(key)
		return parsed.ID, stored, err
	case !errors.Is(err, authn.ErrNotMine):
		return "", "", errors.New("it looks like one of our own and is broken")
	case len(key) < minSuppliedKey || len(key) > maxSuppliedKey:
		return "", "", fmt.Errorf("it has %d characters, want %d to %d", len(key), minSuppliedKey, maxSuppliedKey)
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", "", errors.New("want visible ASCII characters without spaces, as a header can carry them")
	}
	sum := sha256.Sum256([]byte(key))
	id = suppliedID(key)
	return id, "sha256:" + id + ":" + base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// suppliedID is the public id of a key that has none in it: it tells keys
// apart, and says of a key as much as a hash does.
func suppliedID(key string) string {
	sum := sha256.Sum256([]byte("registry_auth API key\x00" + key))
	const length = 12 // of all our ids
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:length]
}

// keyID returns the public id of a key of the API, and whether the secret is
// one: by its prefix or, if it was supplied, by its id being known.
func (m *Manager) keyID(secret string) (id string, known bool, err error) {
	parsed, err := authn.ParseSecret(secret)
	if !errors.Is(err, authn.ErrNotMine) {
		return parsed.ID, parsed.Kind == authn.SecretAPIKey, err
	}
	if len(secret) < minSuppliedKey || len(secret) > maxSuppliedKey {
		return "", false, nil
	}
	id = suppliedID(secret)
	_, known = m.state.APIKeys.Get(id)
	return id, known, nil
}
