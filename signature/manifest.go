package signature

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
)

// Digest returns the digest of content, "sha256:" and 64 hex digits.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ValidDigest reports whether s is a SHA-256 digest in its one canonical
// spelling. Other algorithms are no use here: cosign signs SHA-256 digests.
func ValidDigest(s string) bool {
	digits, ok := strings.CutPrefix(s, "sha256:")
	return ok && validHex(digits)
}

func validHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 2*sha256.Size
}

// ReferrersTag reports whether a tag is one under which clients look for
// referrers in a registry without the referrers API (distribution-spec 1.1,
// "Referrers Tag Schema").
func ReferrersTag(tag string) bool {
	digits, ok := strings.CutPrefix(tag, "sha256-")
	return ok && validHex(digits)
}

// The media types that matter.
const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeList     = "application/vnd.docker.distribution.manifest.list.v2+json"

	typeSimple = "application/vnd.dev.cosign.simplesigning.v1+json"
	typeSigned = "application/vnd.dev.cosign.artifact.sig.v1+json"
	typeBundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
	typeDSSE   = "application/vnd.dsse.envelope.v1+json"
	typeEmpty  = "application/vnd.oci.empty.v1+json"
)

// maxChildren is how many manifests of an index are looked at.
const maxChildren = 1000

var errManifest = errors.New("not a manifest that can be read")

// manifest is as much of an image manifest or an index as is needed here.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Layers        []Descriptor `json:"layers"`
	Manifests     []Descriptor `json:"manifests"`
}

// readManifest reads a manifest within its bounds.
func readManifest(body []byte) (*manifest, error) {
	var m manifest
	if len(body) > MaxManifest || json.Unmarshal(body, &m) != nil || m.SchemaVersion != 2 {
		return nil, errManifest
	}
	return &m, nil
}

// Children returns the digests of the manifests that an index lists, none if
// the manifest is no index.
func Children(body []byte, mediaType string) []string {
	m, err := readManifest(body)
	if err != nil || !IsIndex(mediaType) {
		return nil
	}
	var digests []string
	for _, d := range m.Manifests[:min(len(m.Manifests), maxChildren)] {
		if ValidDigest(d.Digest) {
			digests = append(digests, d.Digest)
		}
	}
	return digests
}

// IsIndex reports whether a media type is that of an index.
func IsIndex(mediaType string) bool { return mediaType == typeIndex || mediaType == typeList }
