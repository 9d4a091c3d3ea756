package signature

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

var (
	image   = Digest([]byte("image"))
	another = Digest([]byte("another image"))
	sigTag  = strings.Replace(image, ":", "-", 1) + ".sig"
)

func TestVerify(t *testing.T) {
	key, other := newECDSA(t, elliptic.P256()), newECDSA(t, elliptic.P256())
	payload := payloadFor(image)
	good := signed(sign(t, key, payload, nil))
	wrongType := bytes.Replace(payload, []byte(simpleType), []byte("atomic container signature"), 1)
	referrer := func(r *registry, artifactType, manifest string) {
		digest := Digest([]byte(manifest))
		r.manifests[digest] = manifest
		r.referrers = append(r.referrers, Descriptor{MediaType: typeManifest, Digest: digest, ArtifactType: artifactType})
	}
	const predicate = signPredicate
	for _, tt := range []struct {
		name string
		fill func(*registry)
		want error
	}{
		{"nothing", func(*registry) {}, ErrUnsigned},
		{"tag", func(r *registry) { r.manifests[sigTag] = manifestOf(r.layer(typeSimple, payload, good)) }, nil},
		{"second layer", func(r *registry) {
			bad := r.layer(typeSimple, payload, signed(sign(t, other, payload, nil)))
			r.manifests[sigTag] = manifestOf(bad, r.layer(typeSimple, payload, good))
		}, nil},
		{"referrer", func(r *registry) { referrer(r, typeSigned, manifestOf(r.layer(typeSimple, payload, good))) }, nil},
		{"referrer of the empty type", func(r *registry) { referrer(r, typeEmpty, manifestOf(r.layer(typeSimple, payload, good))) }, nil},
		{"bundle", func(r *registry) {
			referrer(r, typeBundle, manifestOf(r.layer(typeBundle, bundleFor(t, key, image, predicate), nil)))
		}, nil},
		{"bad tag, good bundle", func(r *registry) {
			r.manifests[sigTag] = manifestOf(r.layer(typeSimple, payload, signed([]byte("x"))))
			referrer(r, typeBundle, manifestOf(r.layer(typeBundle, bundleFor(t, key, image, predicate), nil)))
		}, nil},
		{"wrong key", func(r *registry) {
			r.manifests[sigTag] = manifestOf(r.layer(typeSimple, payload, signed(sign(t, other, payload, nil))))
		}, ErrUntrusted},
		{"payload of another digest", func(r *registry) {
			p := payloadFor(another)
			r.manifests[sigTag] = manifestOf(r.layer(typeSimple, p, signed(sign(t, key, p, nil))))
		}, ErrUntrusted},
		{"payload of another type", func(r *registry) {
			r.manifests[sigTag] = manifestOf(r.layer(typeSimple, wrongType, signed(sign(t, key, wrongType, nil))))
		}, ErrUntrusted},
		{"tampered blob", func(r *registry) {
			layer := r.layer(typeSimple, payload, good)
			r.blobs[layer.Digest] = payloadFor(another)
			r.manifests[sigTag] = manifestOf(layer)
		}, ErrUntrusted},
		{"blob signed but of another digest than the layer's", func(r *registry) {
			layer := r.layer(typeSimple, []byte("{}"), good)
			r.blobs[layer.Digest] = payload
			r.manifests[sigTag] = manifestOf(layer)
		}, ErrUntrusted},
		{"missing blob", func(r *registry) {
			layer := r.layer(typeSimple, payload, good)
			delete(r.blobs, layer.Digest)
			r.manifests[sigTag] = manifestOf(layer)
		}, ErrUntrusted},
		{"layer of another type", func(r *registry) { r.manifests[sigTag] = manifestOf(r.layer("application/json", payload, good)) }, ErrUnsigned},
		{"manifest of another type", func(r *registry) {
			r.mediaType = typeIndex
			r.manifests[sigTag] = manifestOf(r.layer(typeSimple, payload, good))
		}, ErrUnsigned},
		{"no annotation", func(r *registry) { r.manifests[sigTag] = manifestOf(r.layer(typeSimple, payload, nil)) }, ErrUnsigned},
		{"annotation not base64", func(r *registry) {
			r.manifests[sigTag] = manifestOf(r.layer(typeSimple, payload, map[string]string{annotation: "!"}))
		}, ErrUnsigned},
		{"not JSON", func(r *registry) { r.manifests[sigTag] = "<html>" }, ErrUnsigned},
		{"huge payload", func(r *registry) {
			p := append(payloadFor(image), bytes.Repeat([]byte(" "), MaxPayload)...)
			r.manifests[sigTag] = manifestOf(r.layer(typeSimple, p, signed(sign(t, key, p, nil))))
		}, ErrUntrusted},
		{"huge payload that says it is small", func(r *registry) {
			p := append(payloadFor(image), bytes.Repeat([]byte(" "), MaxPayload)...)
			layer := r.layer(typeSimple, p, signed(sign(t, key, p, nil)))
			layer.Size = 10
			r.manifests[sigTag] = manifestOf(layer)
		}, ErrUntrusted},
		{"huge manifest", func(r *registry) {
			r.manifests[sigTag] = manifestOf(r.layer(typeSimple, payload, good)) + strings.Repeat(" ", MaxManifest)
		}, ErrUnsigned},
		{"one of many layers", func(r *registry) {
			layers := []Descriptor{r.layer(typeSimple, payload, good)}
			for range 1000 {
				layers = append(layers, r.layer(typeSimple, payload, signed([]byte("x"))))
			}
			r.manifests[sigTag] = manifestOf(layers...)
		}, nil},
		{"behind many attestations", func(r *registry) {
			for i := range 3 * maxFetches {
				r.referrers = append(r.referrers, Descriptor{
					Digest: Digest(fmt.Append(nil, i)), ArtifactType: typeBundle,
					Annotations: map[string]string{predicateAnnotation: "https://slsa.dev/provenance/v1"},
				})
			}
			referrer(r, typeBundle, manifestOf(r.layer(typeBundle, bundleFor(t, key, image, predicate), nil)))
		}, nil},
		{"behind many things of no known type", func(r *registry) {
			for i := range 3 * maxFetches {
				r.referrers = append(r.referrers, Descriptor{Digest: Digest(fmt.Append(nil, i))})
			}
			referrer(r, typeSigned, manifestOf(r.layer(typeSimple, payload, good)))
		}, nil},
		{"layer digest that is a path", func(r *registry) {
			layer := r.layer(typeSimple, payload, good)
			layer.Digest = "../../other/blobs/" + layer.Digest
			r.manifests[sigTag] = manifestOf(layer)
		}, ErrUntrusted},
		{"attestation is no signature", func(r *registry) {
			referrer(r, typeBundle, manifestOf(r.layer(typeBundle, bundleFor(t, key, image, "https://slsa.dev/provenance/v1"), nil)))
		}, ErrUntrusted},
		{"bundle of another digest", func(r *registry) {
			referrer(r, typeBundle, manifestOf(r.layer(typeBundle, bundleFor(t, key, another, predicate), nil)))
		}, ErrUntrusted},
		{"bundle of another key", func(r *registry) {
			referrer(r, typeBundle, manifestOf(r.layer(typeBundle, bundleFor(t, other, image, predicate), nil)))
		}, ErrUntrusted},
		{"bundle without envelope", func(r *registry) {
			referrer(r, typeBundle, manifestOf(r.layer(typeBundle, []byte(`{"mediaType":"`+typeBundle+`"}`), nil)))
		}, ErrUntrusted},
		{"referrer of no interest", func(r *registry) {
			referrer(r, "application/spdx+json", manifestOf(r.layer(typeSimple, payload, good)))
		}, ErrUnsigned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRegistry()
			tt.fill(r)
			_, err := verifierOf(t, key).Verify(t.Context(), r, "team/app", image, "")
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestVerifyIsBounded(t *testing.T) {
	key, r := newEd25519(t), newRegistry()
	var layers []Descriptor
	for i := range MaxLayers {
		layers = append(layers, r.layer(typeSimple, []byte(strings.Repeat(" ", i)), signed([]byte("x"))))
	}
	r.manifests[sigTag] = manifestOf(layers...)
	for i := range 2 * maxFetches {
		manifest := manifestOf(append(layers[i%MaxLayers:], r.layer(typeSimple, fmt.Append(nil, i), signed([]byte("x"))))...)
		r.manifests[Digest([]byte(manifest))] = manifest
		r.referrers = append(r.referrers, Descriptor{Digest: Digest([]byte(manifest)), ArtifactType: typeSigned})
	}
	if _, err := verifierOf(t, key).Verify(t.Context(), r, "team/app", image, ""); !errors.Is(err, ErrTooMany) || !errors.Is(err, ErrUntrusted) {
		t.Error(err)
	}
	if r.fetches > maxFetches {
		t.Errorf("%d questions to the registry", r.fetches)
	}
}

// TestFloodHidesNothingKnown: what was found once is found again, however much
// was attached since.
func TestFloodHidesNothingKnown(t *testing.T) {
	key, r := newEd25519(t), newRegistry()
	manifest := manifestOf(r.layer(typeBundle, bundleFor(t, key, image, signPredicate), nil))
	r.manifests[Digest([]byte(manifest))] = manifest
	r.referrers = []Descriptor{{Digest: Digest([]byte(manifest)), ArtifactType: typeBundle}}
	v := verifierOf(t, key)
	where, err := v.Verify(t.Context(), r, "team/app", image, "")
	if err != nil || where != Digest([]byte(manifest)) {
		t.Fatalf("found in %q: %v", where, err)
	}
	for i := range 10 * maxFetches {
		r.referrers = append(r.referrers, Descriptor{Digest: Digest(fmt.Append(nil, i)), ArtifactType: typeSigned})
	}
	if again, err := v.Verify(t.Context(), r, "team/app", image, where); err != nil || again != where {
		t.Errorf("found in %q: %v", again, err)
	}
	// A hint proves nothing.
	if _, err := verifierOf(t, newEd25519(t)).Verify(t.Context(), r, "team/app", image, where); !errors.Is(err, ErrUntrusted) {
		t.Errorf("with another key: %v", err)
	}
}

func TestNoAnswerIsNoVerdict(t *testing.T) {
	r := newRegistry()
	r.status = http.StatusInternalServerError
	_, err := verifierOf(t, newEd25519(t)).Verify(t.Context(), r, "team/app", image, "")
	if err == nil || errors.Is(err, ErrUnsigned) || errors.Is(err, ErrUntrusted) {
		t.Errorf("a registry that fails gives %v", err)
	}
	if _, err := NewVerifier(nil).Verify(t.Context(), newRegistry(), "team/app", "sha512:"+strings.Repeat("a", 128), ""); !errors.Is(err, ErrUnsigned) {
		t.Errorf("another digest algorithm: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	keys, _ := ParseKeys([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"))
	v := NewVerifier(keys)
	f.Add(manifestOf(Descriptor{MediaType: typeSimple, Digest: Digest(nil), Annotations: signed([]byte("x"))}), string(payloadFor(image)))
	f.Add(manifestOf(Descriptor{MediaType: typeBundle, Digest: Digest(nil)}), `{"dsseEnvelope":{"signatures":[{}]}}`)
	f.Fuzz(func(t *testing.T, manifest, blob string) {
		r := newRegistry()
		r.manifests[sigTag] = manifest
		r.blobs[Digest([]byte(blob))] = []byte(blob)
		if _, err := v.Verify(t.Context(), r, "team/app", image, ""); err == nil {
			t.Fatal("verified")
		}
		if _, err := Accessory(t.Context(), r, "team/app", []byte(manifest), typeManifest); err != nil {
			t.Fatal(err)
		}
		Children([]byte(manifest), typeIndex)
	})
}
