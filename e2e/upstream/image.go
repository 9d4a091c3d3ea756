package upstream

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// ManifestType is the media type of the images that the tests make.
const ManifestType = "application/vnd.docker.distribution.manifest.v2+json"

// Image is a complete image in memory.
type Image struct {
	Manifest []byte
	Config   []byte
	Layers   [][]byte
}

// Digest returns the digest of content as registries write it.
func Digest(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

// Digest returns the digest of the manifest.
func (i *Image) Digest() string { return Digest(i.Manifest) }

// NewImage returns an image with one layer that holds one file.
func NewImage(name string, content []byte) (*Image, error) {
	plain, err := Archive(name, content)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	zw := gzip.NewWriter(&layer)
	if _, err := zw.Write(plain); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64",
		"os":           "linux",
		"config":       map[string]any{},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{Digest(plain)}},
		"history":      []any{map[string]any{"created": "2024-01-01T00:00:00Z"}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     ManifestType,
		"config":        descriptor("application/vnd.docker.container.image.v1+json", config),
		"layers":        []any{descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", layer.Bytes())},
	})
	if err != nil {
		return nil, err
	}
	return &Image{Manifest: manifest, Config: config, Layers: [][]byte{layer.Bytes()}}, nil
}

func descriptor(mediaType string, content []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "size": len(content), "digest": Digest(content)}
}

// Archive returns a tar archive that holds one file.
func Archive(name string, content []byte) ([]byte, error) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Format: tar.FormatPAX}); err != nil {
		return nil, err
	}
	if _, err := tw.Write(content); err != nil {
		return nil, err
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// File returns the content of a file of the image, looked for in all layers.
func (i *Image) File(name string) ([]byte, error) {
	for _, layer := range i.Layers {
		if content, ok := fileInLayer(layer, name); ok {
			return content, nil
		}
	}
	return nil, fmt.Errorf("no file %q in the %d layers of %s", name, len(i.Layers), i.Digest())
}
