package signature

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxAccessory is how much all layers of an accessory may have, in bytes.
const maxAccessory = 16 << 20

// Accessory reports whether a manifest is itself a signature or an
// attestation, which nobody signs. What it is called proves nothing, anybody
// who may push could call an image so: every layer must be of a type that no
// runtime unpacks, and be JSON, which no archive of a file system is.
func Accessory(ctx context.Context, f Fetcher, repository string, body []byte, mediaType string) (bool, error) {
	m, err := readManifest(body)
	if err != nil || mediaType != typeManifest || !plain(body) {
		return false, nil //nolint:nilerr // what is no manifest is no accessory
	}
	if len(m.Layers) == 0 || len(m.Layers) > MaxLayers {
		return false, nil
	}
	for _, layer := range m.Layers {
		if !accessoryType(layer.MediaType) || !ValidDigest(layer.Digest) {
			return false, nil
		}
	}
	left := maxAccessory
	for _, layer := range m.Layers {
		content, err := f.Blob(ctx, repository, layer.Digest, left)
		switch {
		case errors.Is(err, ErrNotFound):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("layer of a signature: %w", err)
		case len(content) > left || Digest(content) != layer.Digest || !json.Valid(content):
			return false, nil
		}
		left -= len(content)
	}
	return true, nil
}

func accessoryType(mediaType string) bool {
	switch mediaType {
	case typeSimple, typeDSSE, typeBundle,
		"application/vnd.cyclonedx+json", "application/vnd.syft+json", "spdx+json", "text/spdx+json":
		return true
	}
	return false
}

// plain reports whether every program reads a manifest alike: only the fields
// of the image specification at the top, and no field twice in any spelling.
func plain(body []byte) bool {
	d := json.NewDecoder(bytes.NewReader(body))
	if !unambiguous(d, 0) {
		return false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return false
	}
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return false
	}
	for name := range top {
		switch name {
		case "schemaVersion", "mediaType", "artifactType", "config", "layers", "subject", "annotations":
		default:
			return false
		}
	}
	return true
}

// maxDepth is how deep a manifest may be nested.
const maxDepth = 20

// unambiguous reads one value and reports whether no object in it has a field
// twice.
func unambiguous(d *json.Decoder, depth int) bool {
	token, err := d.Token()
	if err != nil || depth > maxDepth {
		return false
	}
	delimiter, ok := token.(json.Delim)
	if !ok {
		return true
	}
	seen := map[string]bool{}
	for d.More() {
		if delimiter == '{' {
			token, err := d.Token()
			name, ok := token.(string)
			folded := strings.ToLower(name)
			if err != nil || !ok || seen[folded] {
				return false
			}
			seen[folded] = true
		}
		if !unambiguous(d, depth+1) {
			return false
		}
	}
	_, err = d.Token()
	return err == nil
}
