package gateway

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

// maxKeyFile is how much of a file with public keys is read, in bytes.
const maxKeyFile = 64 << 10

// Verifiers are what verifies for each signature rule of the policy, with the
// keys that are in their files now.
type Verifiers struct {
	byRule map[*authz.SignatureRule]*atomic.Pointer[signature.Verifier]
}

// NewVerifiers reads the keys of all signature rules. A key that is missing
// or cannot be read is an error: a rule with fewer keys than written would
// refuse images that are well signed.
func NewVerifiers(projects []authz.Project) (*Verifiers, error) {
	v := &Verifiers{byRule: map[*authz.SignatureRule]*atomic.Pointer[signature.Verifier]{}}
	for i := range projects {
		if rule := projects[i].RequireSignature; rule != nil {
			v.byRule[rule] = new(atomic.Pointer[signature.Verifier])
		}
	}
	return v, v.Reread()
}

// of returns what verifies for a rule.
func (v *Verifiers) of(rule *authz.SignatureRule) *signature.Verifier { return v.byRule[rule].Load() }

// Files returns the files that have keys.
func (v *Verifiers) Files() []string {
	files := map[string]bool{}
	for rule := range v.byRule {
		for _, key := range rule.Keys {
			if text, err := caddyfile.Resolve("key", key); err == nil && strings.HasPrefix(text, "/") {
				files[text] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(files))
}

// Reread reads all keys again, so that a key that was taken out of its file is
// not trusted any more. A rule with a file that cannot be read keeps the keys
// that it can read: those of the file may have been withdrawn.
func (v *Verifiers) Reread() error {
	var errs []error
	for rule, verifier := range v.byRule {
		var keys []signature.PublicKey
		for n, key := range rule.Keys {
			more, err := readKeys(key)
			if err != nil {
				errs = append(errs, fmt.Errorf("require signature (%s): key %d: %w", rule.Source, n+1, err))
				continue
			}
			keys = append(keys, more...)
		}
		verifier.Store(signature.NewVerifier(keys))
	}
	return errors.Join(errs...)
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
