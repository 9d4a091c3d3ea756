package management

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// minStaticKey is how long a key in the configuration must be, in characters.
const minStaticKey = 32

// staticKey is a key of the configuration.
type staticKey struct {
	config StaticKeyConfig
	sum    [sha256.Size]byte
	hash   authn.Hash // instead of sum, if the configuration has a hash
	from   []netip.Prefix
}

func (k *staticKey) matches(secret string, sum [sha256.Size]byte) bool {
	if k.hash != nil {
		return k.hash.Matches(secret)
	}
	return subtle.ConstantTimeCompare(sum[:], k.sum[:]) == 1
}

// staticKeys checks the keys of the configuration and their resolved values.
// Errors never repeat a value.
func staticKeys(list []StaticKeyConfig, values []string) ([]staticKey, error) {
	if len(values) != len(list) {
		return nil, fmt.Errorf("management: %d keys with %d values", len(list), len(values))
	}
	keys := make([]staticKey, len(list))
	for i, c := range list {
		wrong := func(format string, args ...any) error {
			return fmt.Errorf("management: api_key %s: "+format, append([]any{c.Name}, args...)...)
		}
		k := &keys[i]
		k.config = c
		if c.Name == "" {
			return nil, fmt.Errorf("management: api_key %d: the name is missing", i+1)
		}
		for _, other := range keys[:i] {
			if other.config.Name == c.Name {
				return nil, wrong("there are two of that name")
			}
		}
		if len(c.Scopes) == 0 {
			k.config.Scopes = []string{string(ScopeAll)}
		}
		for _, s := range c.Scopes {
			if err := CheckScope(s); err != nil {
				return nil, wrong("%w", err)
			}
		}
		for _, f := range c.From {
			p, err := authn.ParseSource(f)
			if err != nil {
				return nil, wrong("%w", err)
			}
			k.from = append(k.from, p)
		}
		value := strings.TrimSpace(values[i])
		if strings.HasPrefix(value, "sha256:") {
			hash, err := authn.ParseHash(value)
			if err != nil {
				return nil, wrong("%w", err)
			}
			k.hash = hash
			continue
		}
		if len(value) < minStaticKey {
			return nil, wrong("the key has %d characters, want at least %d", len(value), minStaticKey)
		}
		k.sum = sha256.Sum256([]byte(value))
	}
	return keys, nil
}
