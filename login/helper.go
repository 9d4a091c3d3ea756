package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/terminal"
)

// Stored is a credential in the protocol of Docker's credential helpers.
type Stored struct {
	ServerURL string
	Username  string
	Secret    string
}

// NotFound is what a helper says when it has no credential, word for word: it
// is by this that docker knows.
const NotFound = "credentials not found in native keychain"

// ErrNotFound is that as an error.
var ErrNotFound = errors.New(NotFound)

// CallHelper runs docker-credential-NAME. What it is given and answers is
// never in errors.
func CallHelper(ctx context.Context, name, verb string, in []byte) ([]byte, error) {
	if name == "" || strings.ContainsAny(name, `/\`) {
		return nil, fmt.Errorf("%q is no name of a credential helper", name)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // it may ask for a passphrase
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker-credential-"+name, verb) //nolint:gosec // as docker runs it
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	said := terminal.Line(strings.TrimSpace(string(out)))
	if said == NotFound {
		return nil, ErrNotFound
	}
	if len(said) > 200 || strings.Contains(said, "{") {
		said = ""
	}
	return nil, fmt.Errorf("docker-credential-%s %s: %w %s", name, verb, err, said)
}

// StoreWithHelper gives a credential to a helper.
func StoreWithHelper(ctx context.Context, name string, k *Credential) error {
	in, err := json.Marshal(Stored{ServerURL: k.Registry, Username: k.HelperUser(), Secret: k.Secret}) //nolint:gosec // for the helper
	if err != nil {
		return err
	}
	_, err = CallHelper(ctx, name, "store", in)
	return err
}

// GetWithHelper asks a helper for the credential of a registry.
func GetWithHelper(ctx context.Context, name, registry string) (*Credential, error) {
	out, err := CallHelper(ctx, name, "get", []byte(registry))
	if err != nil {
		return nil, err
	}
	s, err := ParseStored(name, out)
	if err != nil {
		return nil, err
	}
	return &Credential{Registry: registry, Username: s.Username, Secret: s.Secret, Identity: s.Username == tokenUser}, nil
}

// ParseStored reads what a helper answers to "get". Some have nothing and say
// so with an empty secret, as docker-credential-pass does before 0.7.
func ParseStored(helper string, answer []byte) (Stored, error) {
	var s Stored
	if json.Unmarshal(answer, &s) != nil {
		return Stored{}, fmt.Errorf("docker-credential-%s: the answer is not JSON", helper)
	}
	if s.Secret == "" {
		return Stored{}, ErrNotFound
	}
	return s, nil
}
