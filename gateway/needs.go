package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

// maxNeedsRead is how many manifests of a repository are read to find out what
// its immutable tags need.
const maxNeedsRead = 2000

// errTooMuch: a repository has more than is looked at to find out what a
// deletion concerns. It stays so however often one tries.
var errTooMuch = errors.New("too much to look at")

var errTooMuchNeeded = fmt.Errorf("nothing can be deleted by digest in this repository: its immutable tags need more than %d manifests, %w", maxNeedsRead, errTooMuch)

// needs finds out whether a tag needs a digest: points at it, or at something
// that lists it, at any depth. It serves one deletion in one repository.
type needs struct {
	digest string // that is to be deleted
	read   func(ctx context.Context, digest string) (body []byte, mediaType string, status int, err error)
	known  map[string]bool // of the manifests that were read, whether they need it
}

// by reports whether the manifest with a digest needs the one that is to be
// deleted. A manifest of a kind that cannot be read might need anything.
func (n *needs) by(ctx context.Context, manifest string) (bool, error) {
	if manifest == n.digest {
		return true, nil
	}
	if needed, ok := n.known[manifest]; ok {
		return needed, nil
	}
	if len(n.known) >= maxNeedsRead {
		return false, errTooMuchNeeded
	}
	n.known[manifest] = false // also ends circles, which no digests can have
	body, _, status, err := n.read(ctx, manifest)
	switch {
	case err != nil:
		return false, err
	case status == http.StatusNotFound:
		return false, nil // a platform that was never pushed here
	}
	children, blobs, ok := listed(body)
	if !ok {
		n.known[manifest] = true
		return true, nil
	}
	for _, blob := range blobs {
		if blob == n.digest {
			n.known[manifest] = true
			return true, nil
		}
	}
	for _, child := range children {
		needed, err := n.by(ctx, child)
		if err != nil {
			return false, err
		}
		if needed {
			n.known[manifest] = true
			return true, nil
		}
	}
	return false, nil
}

// listed returns what a manifest of any of the known kinds lists: an image or
// artifact its configuration and layers, an index its manifests. It reports
// false for what is no manifest.
func listed(body []byte) (manifests, blobs []string, ok bool) {
	type descriptor struct {
		Digest string `json:"digest"`
	}
	var m struct {
		SchemaVersion int           `json:"schemaVersion"`
		MediaType     string        `json:"mediaType"`
		Config        *descriptor   `json:"config"`
		Layers        []descriptor  `json:"layers"`
		Blobs         []descriptor  `json:"blobs"` // OCI artifact manifests of 1.1 release candidates
		Manifests     *[]descriptor `json:"manifests"`
		Schema1       []struct {
			BlobSum string `json:"blobSum"`
		} `json:"fsLayers"`
	}
	if len(body) == 0 || len(body) > signature.MaxManifest || json.Unmarshal(body, &m) != nil {
		return nil, nil, false
	}
	if m.Config == nil && m.Manifests == nil && len(m.Schema1) == 0 && len(m.Blobs) == 0 {
		return nil, nil, false
	}
	if m.Config != nil {
		blobs = append(blobs, m.Config.Digest)
	}
	for _, d := range append(m.Layers, m.Blobs...) {
		blobs = append(blobs, d.Digest)
	}
	for _, l := range m.Schema1 {
		blobs = append(blobs, l.BlobSum)
	}
	if m.Manifests != nil {
		for _, d := range *m.Manifests {
			manifests = append(manifests, d.Digest)
		}
	}
	return manifests, blobs, true
}
