package gateway

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

// maxKeyFile is how much of a file with public keys is read, in bytes.
const maxKeyFile = 64 << 10

// Verifiers are what verifies for each signature rule of the policy.
type Verifiers map[*authz.SignatureRule]*signature.Verifier

// NewVerifiers reads the keys of all signature rules. A key that is missing
// or cannot be read is an error: a rule with fewer keys than written would
// refuse images that are well signed.
func NewVerifiers(projects []authz.Project) (Verifiers, error) {
	found := Verifiers{}
	for i := range projects {
		rule := projects[i].RequireSignature
		if rule == nil {
			continue
		}
		var keys []signature.PublicKey
		for n, key := range rule.Keys {
			more, err := readKeys(key)
			if err != nil {
				return nil, fmt.Errorf("require signature (%s): key %d: %w", rule.Source, n+1, err)
			}
			keys = append(keys, more...)
		}
		found[rule] = signature.NewVerifier(keys)
	}
	return found, nil
}

// readKeys reads one key setting: a path, or PEM text.
func readKeys(setting string) ([]signature.PublicKey, error) {
	text, err := caddyfile.Resolve("setting", setting)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(text, "/") {
		keys, err := signature.ParseKeys([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("the text %w", err)
		}
		return keys, nil
	}
	file, err := os.Open(text)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", text, maxKeyFile)
	}
	keys, err := signature.ParseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("%s %w", text, err)
	}
	return keys, nil
}
