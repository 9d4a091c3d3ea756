package signature

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
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

// Verify finds a signature for the digest that is attached in the repository
// and was made with one of the keys, under cosign's tag ("sha256-….sig") or as
// an OCI referrer. It returns the tag or digest of the manifest that holds it;
// first is what an earlier call returned, or empty, and is looked at before
// all else, so that artifacts attached since do not hide it. The error wraps
// [ErrUnsigned] or [ErrUntrusted]; any other means that the registry did not
// tell.
func (v *Verifier) Verify(ctx context.Context, f Fetcher, repository, digest, first string) (string, error) {
	if !ValidDigest(digest) {
		return "", fmt.Errorf("%w: the digest is not SHA-256", ErrUnsigned)
	}
	s := &search{
		verifier: v, fetcher: f, repository: repository, digest: digest,
		fetches: maxFetches, checks: maxChecks, blobs: map[string][]byte{},
	}
	places := []string{strings.Replace(digest, ":", "-", 1) + ".sig"}
	if first != "" {
		places = []string{first, places[0]}
	}
	for _, place := range places {
		if found, err := s.manifest(ctx, place); found || err != nil {
			return place, err
		}
	}
	referrers, err := f.Referrers(ctx, repository, digest)
	if err != nil {
		return "", fmt.Errorf("referrers: %w", err)
	}
	for _, r := range likely(referrers) {
		if found, err := s.manifest(ctx, r); found || err != nil {
			return r, err
		}
	}
	switch {
	case s.fetches < 0 || s.checks < 0:
		return "", ErrTooMany
	case s.candidates:
		return "", ErrUntrusted
	}
	return "", ErrUnsigned
}

// predicateAnnotation is what cosign writes beside a bundle in the list of
// referrers: what kind of statement it holds.
const predicateAnnotation = "dev.sigstore.bundle.predicateType"

// likely returns the digests of the referrers that may hold signatures, those
// first that say so. Among equals the order is random: where more are attached
// than are looked at, another try sees others.
func likely(referrers []Descriptor) []string {
	var said, maybe []string
	for i := range referrers {
		r := &referrers[i]
		if !ValidDigest(r.Digest) {
			continue
		}
		switch r.ArtifactType {
		case typeBundle:
			switch r.Annotations[predicateAnnotation] {
			case signPredicate:
				said = append(said, r.Digest)
			case "":
				maybe = append(maybe, r.Digest)
			}
		case typeSigned, typeSimple:
			said = append(said, r.Digest)
		case typeEmpty, "":
			// Older registries give the type of the configuration where there
			// is no artifact type.
			maybe = append(maybe, r.Digest)
		}
	}
	for _, list := range [][]string{said, maybe} {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] }) //nolint:gosec // what is looked at first is no secret
	}
	return append(said, maybe...)
}

// search is one verification.
type search struct {
	verifier           *Verifier
	fetcher            Fetcher
	repository, digest string
	fetches            int               // that are left; below zero once one was refused
	checks             int               // of signatures, likewise
	blobs              map[string][]byte // by digest: signatures of one image share their payload
	candidates         bool              // something that claims to be a signature was seen
}

// manifest looks at the signatures of one signature manifest.
func (s *search) manifest(ctx context.Context, reference string) (bool, error) {
	if s.fetches--; s.fetches < 0 {
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
	if err != nil || mediaType != typeManifest {
		return false, nil // no signature manifest, whatever it is
	}
	// cosign adds a layer for each signature: the newest is the last.
	for i := range slices.Backward(m.Layers) {
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
	if s.checks -= len(s.verifier.keys); s.checks < 0 {
		return false, nil
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
	if content, ok := s.blobs[layer.Digest]; ok {
		return content, nil
	}
	if s.fetches--; s.fetches < 0 {
		return nil, nil
	}
	content, err := s.fetcher.Blob(ctx, s.repository, layer.Digest, MaxPayload)
	switch {
	case errors.Is(err, ErrNotFound):
		content = nil
	case err != nil:
		return nil, fmt.Errorf("signature payload: %w", err)
	case len(content) > MaxPayload || Digest(content) != layer.Digest:
		content = nil
	}
	s.blobs[layer.Digest] = content
	return content, nil
}
