package signature_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

// empty is a registry with nothing attached to anything.
type empty struct{}

func (empty) Manifest(context.Context, string, string) ([]byte, string, int, error) {
	return nil, "", http.StatusNotFound, nil
}

func (empty) Blob(context.Context, string, string, int) ([]byte, error) {
	return nil, signature.ErrNotFound
}

func (empty) Referrers(context.Context, string, string) ([]signature.Descriptor, error) {
	return nil, nil
}

// A verifier finds what is attached to a manifest through a Fetcher. That
// there is no signature is a verdict; that the registry did not answer is none.
func ExampleVerifier() {
	keys, err := signature.ParseKeys([]byte(`-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`))
	if err != nil {
		panic(err)
	}
	verifier := signature.NewVerifier(keys)
	_, err = verifier.Verify(context.Background(), empty{}, "team-a/app", signature.Digest([]byte("manifest")), "")
	fmt.Println(errors.Is(err, signature.ErrUnsigned))
	// Output:
	// true
}
