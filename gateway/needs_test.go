package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
)

func TestListed(t *testing.T) {
	for _, tt := range []struct {
		name, body       string
		manifests, blobs []string
		ok               bool
	}{
		{"image", `{"schemaVersion":2,"config":{"digest":"c"},"layers":[{"digest":"a"},{"digest":"b"}]}`, nil, []string{"c", "a", "b"}, true},
		{"index", `{"schemaVersion":2,"manifests":[{"digest":"a"},{"digest":"b"}]}`, []string{"a", "b"}, nil, true},
		{"empty index", `{"schemaVersion":2,"manifests":[]}`, nil, nil, true},
		{"artifact", `{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[{"digest":"a"}]}`, nil, []string{"a"}, true},
		{"schema 1", `{"schemaVersion":1,"fsLayers":[{"blobSum":"a"}]}`, nil, []string{"a"}, true},
		{"something else", `{"schemaVersion":2}`, nil, nil, false},
		{"not JSON", `<html>`, nil, nil, false},
		{"nothing", ``, nil, nil, false},
	} {
		manifests, blobs, ok := listed([]byte(tt.body))
		if !slices.Equal(manifests, tt.manifests) || !slices.Equal(blobs, tt.blobs) || ok != tt.ok {
			t.Errorf("%s: %q %q %v", tt.name, manifests, blobs, ok)
		}
	}
}

func TestNeeds(t *testing.T) {
	manifests := map[string]string{
		"outer": `{"manifests":[{"digest":"inner"},{"digest":"gone"}]}`,
		"inner": `{"manifests":[{"digest":"image"},{"digest":"outer"}]}`,
		"image": `{"config":{"digest":"config"},"layers":[{"digest":"layer"}]}`,
		"other": `{"config":{"digest":"config"},"layers":[]}`,
		"odd":   `?`,
	}
	read := func(_ context.Context, digest string) ([]byte, string, int, error) {
		if digest == "failing" {
			return nil, "", 0, errUpstreamSilent
		}
		if body, ok := manifests[digest]; ok {
			return []byte(body), "", http.StatusOK, nil
		}
		return nil, "", http.StatusNotFound, nil
	}
	for _, tt := range []struct {
		tag, digest string
		want        bool
	}{
		{"outer", "outer", true},
		{"outer", "image", true},
		{"outer", "layer", true},
		{"outer", "gone", true},
		{"outer", "nothing", false},
		{"other", "config", true},
		{"other", "layer", false},
		{"odd", "layer", true},
		{"gone", "layer", false},
	} {
		n := &needs{digest: tt.digest, read: read, known: map[string]bool{}}
		if got, err := n.by(t.Context(), tt.tag); err != nil || got != tt.want {
			t.Errorf("%s needs %s: %v, %v", tt.tag, tt.digest, got, err)
		}
	}
	n := &needs{digest: "x", read: read, known: map[string]bool{}}
	if _, err := n.by(t.Context(), "failing"); !errors.Is(err, errUpstreamSilent) {
		t.Errorf("a registry that fails: %v", err)
	}
	for i := range maxNeedsRead + 5 {
		manifests[fmt.Sprint(i)] = fmt.Sprintf(`{"manifests":[{"digest":"%d"}]}`, i+1)
	}
	if _, err := n.by(t.Context(), "0"); !errors.Is(err, errTooMuchNeeded) {
		t.Errorf("a chain without end: %v", err)
	}
}
