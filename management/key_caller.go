package management

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// KeyCaller returns the caller that a key of the API is: nil if the secret is
// no key at all, and an error if it is a key that is not good from here.
func (m *Manager) KeyCaller(secret string, remote netip.Addr) (*Caller, error) {
	if c, err := m.staticCaller(secret, remote); c != nil || err != nil {
		return c, err
	}
	id, known, err := m.keyID(secret)
	if !known {
		return nil, nil
	}
	wrong := fail(CodeUnauthenticated, "the key is wrong or not good any more")
	if err != nil {
		return nil, wrong
	}
	item, ok := m.state.APIKeys.Get(id)
	if !ok {
		return nil, wrong
	}
	k := item.Value
	hash, err := authn.ParseHash(k.Hash)
	if err != nil || !hash.Matches(secret) {
		return nil, wrong
	}
	from, err := parseSources(k.From)
	if err != nil {
		return nil, wrong
	}
	// Only who knows the key learns what state it is in.
	switch {
	case m.keySource(k.Name) != "":
		return nil, fail(CodeUnauthenticated, "the configuration has a key called %s, which stands in the place of this one", k.Name)
	case k.Disabled:
		return nil, fail(CodeUnauthenticated, "the key %s is disabled", k.Name)
	case !k.Expires.IsZero() && !m.now().Before(k.Expires):
		return nil, fail(CodeUnauthenticated, "the key %s has expired", k.Name)
	case from != nil && !authn.Contains(from, remote):
		return nil, fail(CodeUnauthenticated, "the key %s is not accepted from %s", k.Name, remote)
	}
	if err := m.state.Stale(); err != nil {
		return nil, err
	}
	kind := "api_key"
	if k.Bootstrap {
		kind = "bootstrap"
	}
	return &Caller{
		scopes: k.Scopes, expires: k.Expires, from: k.From, kind: m.state.APIKeys.Kind(), Remote: remote,
		actor: state.Actor{Kind: kind, Name: k.Name, ID: item.ID},
	}, nil
}

// staticCaller looks at every key of the configuration, whichever is right.
func (m *Manager) staticCaller(secret string, remote netip.Addr) (*Caller, error) {
	if len(m.statics) == 0 {
		return nil, nil
	}
	sum := sha256.Sum256([]byte(secret))
	var found *staticKey
	for i := range m.statics {
		if k := &m.statics[i]; k.matches(secret, sum) {
			found = k
		}
	}
	switch {
	case found == nil:
		return nil, nil
	case found.from != nil && !authn.Contains(found.from, remote):
		return nil, fail(CodeUnauthenticated, "the key %s is not accepted from %s", found.config.Name, remote)
	}
	return &Caller{
		scopes: found.config.Scopes, from: found.config.From, Remote: remote,
		actor: state.Actor{Kind: "api_key", Name: found.config.Name},
	}, nil
}

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
