package upstream

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"path"
)

// fileInLayer looks for a file in a layer, gzipped or not.

func fileInLayer(layer []byte, name string) ([]byte, bool) {
	var r io.Reader = bytes.NewReader(layer)
	if zr, err := gzip.NewReader(bytes.NewReader(layer)); err == nil {
		r = zr
	}
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err != nil {
			return nil, false
		}
		if path.Clean("/"+h.Name) != path.Clean("/"+name) {
			continue
		}
		content, err := io.ReadAll(tr)
		return content, err == nil
	}
}
