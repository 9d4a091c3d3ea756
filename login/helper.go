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
	said := plain(strings.TrimSpace(string(out)))
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
	var s Stored
	if json.Unmarshal(out, &s) != nil {
		return nil, fmt.Errorf("docker-credential-%s: the answer is not JSON", name)
	}
	return &Credential{Registry: registry, Username: s.Username, Secret: s.Secret, Identity: s.Username == tokenUser}, nil
}
