package signature

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Verifier verifies signatures with a set of keys, one of which suffices. It
// is immutable.
type Verifier struct {
	keys []PublicKey
	id   [sha256.Size]byte
}

// NewVerifier returns a verifier. Without keys nothing verifies.
func NewVerifier(keys []PublicKey) *Verifier {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, func(a, b PublicKey) int { return bytes.Compare(a.der, b.der) })
	hash := sha256.New()
	for _, k := range sorted {
		one := sha256.Sum256(k.der)
		hash.Write(one[:])
	}
	v := &Verifier{keys: sorted}
	hash.Sum(v.id[:0])
	return v
}

// ID is the same for two verifiers with the same keys, for caches.
func (v *Verifier) ID() [sha256.Size]byte { return v.id }

// Verify returns nil if a signature for the digest that is attached in the
// repository was made with one of the keys, under cosign's tag
// ("sha256-….sig") or as an OCI referrer. The error wraps [ErrUnsigned] or
// [ErrUntrusted]; any other means that the registry did not tell.
func (v *Verifier) Verify(ctx context.Context, f Fetcher, repository, digest string) error {
	if !ValidDigest(digest) {
		return fmt.Errorf("%w: the digest is not SHA-256", ErrUnsigned)
	}
	s := &search{verifier: v, fetcher: f, repository: repository, digest: digest, left: maxFetches}
	tag := strings.Replace(digest, ":", "-", 1) + ".sig"
	if found, err := s.manifest(ctx, tag); found || err != nil {
		return err
	}
	referrers, err := f.Referrers(ctx, repository, digest)
	if err != nil {
		return fmt.Errorf("referrers: %w", err)
	}
	looked := 0
	for _, r := range referrers {
		if !maySign(&r) || looked == MaxReferrers {
			continue
		}
		looked++
		if found, err := s.manifest(ctx, r.Digest); found || err != nil {
			return err
		}
	}
	if s.candidates {
		return ErrUntrusted
	}
	return ErrUnsigned
}

// maySign reports whether a referrer may hold signatures. Older registries
// give the type of the configuration where there is no artifact type.
func maySign(r *Descriptor) bool {
	switch r.ArtifactType {
	case typeSigned, typeSimple, typeBundle, typeEmpty, "":
		return ValidDigest(r.Digest)
	}
	return false
}

// search is one verification.
type search struct {
	verifier           *Verifier
	fetcher            Fetcher
	repository, digest string
	left               int  // questions to the registry
	candidates         bool // something that claims to be a signature was seen
}

// manifest looks at the signatures of one signature manifest.
func (s *search) manifest(ctx context.Context, reference string) (bool, error) {
	if s.left--; s.left < 0 {
		return false, nil
	}
	body, mediaType, status, err := s.fetcher.Manifest(ctx, s.repository, reference)
	switch {
	case err != nil:
		return false, fmt.Errorf("signature manifest: %w", err)
	case status == http.StatusNotFound:
		return false, nil
	case status != http.StatusOK:
		return false, fmt.Errorf("signature manifest: status %d", status)
	}
	m, err := readManifest(body)
	if err != nil || mediaType != typeManifest || len(m.Layers) > MaxLayers {
		return false, nil //nolint:nilerr // no signature manifest, whatever it is
	}
	for i := range m.Layers {
		if found, err := s.layer(ctx, &m.Layers[i]); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (s *search) layer(ctx context.Context, layer *Descriptor) (bool, error) {
	var signature []byte
	switch layer.MediaType {
	case typeSimple:
		if signature = simpleSignature(layer); signature == nil {
			return false, nil
		}
	case typeBundle:
	default:
		return false, nil
	}
	s.candidates = true
	content, err := s.blob(ctx, layer)
	if content == nil || err != nil {
		return false, err
	}
	if layer.MediaType == typeBundle {
		return verifyBundle(s.verifier.keys, content, s.digest), nil
	}
	return verifySimple(s.verifier.keys, content, signature, s.digest), nil
}

// blob returns the content of a layer, nil if it cannot be that of a
// signature or is not what the layer's digest says.
func (s *search) blob(ctx context.Context, layer *Descriptor) ([]byte, error) {
	if !ValidDigest(layer.Digest) || layer.Size > MaxPayload {
		return nil, nil
	}
	if s.left--; s.left < 0 {
		return nil, nil
	}
	content, err := s.fetcher.Blob(ctx, s.repository, layer.Digest, MaxPayload)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("signature payload: %w", err)
	case len(content) > MaxPayload || Digest(content) != layer.Digest:
		return nil, nil
	}
	return content, nil
}
