// Package signature answers whether the manifest of an image or artifact was
// signed with one of a set of public keys, in the two forms that cosign
// attaches: simple signing, and a Sigstore bundle with an in-toto statement.
//
// It verifies signatures with keys that are known beforehand and nothing
// else: no certificates, no identities, no transparency log, no timestamps.
// It knows nothing of HTTP; a [Fetcher] brings what the registry has, and all
// of that is taken for hostile.
package signature

import (
	"context"
	"errors"
	"fmt"
)

// Bounds on what the registry has. What is larger is not looked at.
const (
	// MaxManifest is the size of a manifest, in bytes, as in the
	// distribution-spec.
	MaxManifest = 4 << 20
	// MaxPayload is the size of what was signed, in bytes.
	MaxPayload = 64 << 10
	// MaxLayers is how many layers an attestation or the like may have.
	MaxLayers = 100
	// maxFetches bounds the questions to the registry for one verification.
	// Where something stands among the attached artifacts does not count:
	// anybody who may push can attach more of them.
	maxFetches = 2000
	// maxChecks bounds how many signatures of one verification are computed.
	maxChecks = 5000
)

var (
	// ErrUnsigned says that nothing that could be a signature is attached.
	ErrUnsigned = errors.New("there is no signature")
	// ErrUntrusted says that there are signatures, and none of them was made for this
	// digest with one of the keys.
	ErrUntrusted = errors.New("no signature verifies with a configured key")
	// ErrTooMany is an [ErrUntrusted] of a search that ended before it had seen
	// everything that calls itself a signature.
	ErrTooMany = fmt.Errorf("%w, and more are attached than are looked at", ErrUntrusted)
	// ErrNotFound is what a [Fetcher] returns for a blob that is not there or
	// larger than allowed.
	ErrNotFound = errors.New("not found, or too large")
)

// Descriptor is a descriptor of the OCI image specification.
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
}

// Fetcher gets things out of a registry. An error means that the registry
// gave no answer, and ends the verification without a verdict.
type Fetcher interface {
	// Manifest returns a manifest by tag or digest with the HTTP status; a
	// status other than 200 or 404 counts as no answer. It reads no more
	// than [MaxManifest] bytes.
	Manifest(ctx context.Context, repository, reference string) (body []byte, mediaType string, status int, err error)
	// Blob returns a blob of at most limit bytes, else [ErrNotFound].
	Blob(ctx context.Context, repository, digest string, limit int) ([]byte, error)
	// Referrers returns everything that is attached to a manifest, all pages
	// of it; none is no error. A list that cannot be read to its end is one.
	Referrers(ctx context.Context, repository, digest string) ([]Descriptor, error)
}
