package signature

import (
	"slices"
	"strings"
	"testing"
)

func TestAccessory(t *testing.T) {
	r := newRegistry()
	payload := r.layer(typeSimple, payloadFor(image), nil)
	archive := r.layer(typeSimple, []byte("bin/sh\x00\x00"), nil)
	content := r.layer("application/vnd.oci.image.layer.v1.tar+gzip", []byte("{}"), nil)
	gone := payload
	gone.Digest = Digest([]byte("gone"))
	good := manifestOf(payload)
	for _, tt := range []struct {
		name, manifest, mediaType string
		want                      bool
	}{
		{"signature", good, typeManifest, true},
		{"attestation", manifestOf(r.layer(typeDSSE, []byte("{}"), nil), r.layer(typeBundle, []byte("{}"), nil)), typeManifest, true},
		{"image", manifestOf(content), typeManifest, false},
		{"signature and image", manifestOf(payload, content), typeManifest, false},
		{"archive that is called a signature", manifestOf(archive), typeManifest, false},
		{"no layers", manifestOf(), typeManifest, false},
		{"missing layer", manifestOf(gone), typeManifest, false},
		{"index", good, typeIndex, false},
		{"another field", strings.Replace(good, `{`, `{"manifests":[],`, 1), typeManifest, false},
		{"layers twice", strings.Replace(good, `{`, `{"Layers":[],`, 1), typeManifest, false},
		{"media type twice", strings.Replace(good, `"mediaType":"`+typeSimple, `"mediatype":"x","mediaType":"`+typeSimple, 1), typeManifest, false},
		{"two documents", good + good, typeManifest, false},
		{"deep", strings.Replace(good, `{`, `{"annotations":`+strings.Repeat("[", 50)+strings.Repeat("]", 50)+`,`, 1), typeManifest, false},
	} {
		got, err := Accessory(t.Context(), r, "team/app", []byte(tt.manifest), tt.mediaType)
		if err != nil || got != tt.want {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}

func TestChildren(t *testing.T) {
	index := `{"schemaVersion":2,"manifests":[{"digest":"` + image + `"},{"digest":"sha512:x"},{"digest":"` + another + `"}]}`
	if got := Children([]byte(index), typeIndex); !slices.Equal(got, []string{image, another}) {
		t.Errorf("%v", got)
	}
	if got := Children([]byte(index), typeManifest); got != nil {
		t.Errorf("an image has children: %v", got)
	}
}
