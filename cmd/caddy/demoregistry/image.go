package demoregistry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"runtime"
	"time"
)

// Media types of the OCI image specification, which every client takes.
const (
	mediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaTypeConfig   = "application/vnd.oci.image.config.v1+json"
	mediaTypeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// descriptor names a blob (OCI image specification, descriptor.md).
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

func describe(mediaType string, blob []byte) descriptor {
	return descriptor{mediaType, digest(blob), len(blob)}
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// image is a complete image with one layer.
type image struct {
	layer, config, manifest []byte
}

// newImage returns an image for this machine's architecture that contains one
// file of the given name and text. The same input makes the same digests.
func newImage(name, text string) (image, error) {
	var files, layer bytes.Buffer
	archive := tar.NewWriter(&files)
	err := archive.WriteHeader(&tar.Header{
		Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	})
	if err != nil {
		return image{}, fmt.Errorf("file %q of the image: %w", name, err)
	}
	packed := gzip.NewWriter(&layer)
	for _, step := range []func() error{
		func() error { _, err := archive.Write([]byte(text)); return err },
		archive.Close,
		func() error { _, err := packed.Write(files.Bytes()); return err },
		packed.Close,
	} {
		if err := step(); err != nil {
			return image{}, fmt.Errorf("file %q of the image: %w", name, err)
		}
	}
	img := image{layer: layer.Bytes()}
	img.config, err = json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Cmd": []string{"/" + name}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(files.Bytes())}},
	})
	if err != nil {
		return image{}, fmt.Errorf("configuration of the image: %w", err)
	}
	img.manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": mediaTypeManifest,
		"config": describe(mediaTypeConfig, img.config),
		"layers": []descriptor{describe(mediaTypeLayer, img.layer)},
	})
	if err != nil {
		return image{}, fmt.Errorf("manifest of the image: %w", err)
	}
	return img, nil
}
