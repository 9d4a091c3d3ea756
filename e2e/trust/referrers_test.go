package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// TestAttestationsHideNoSignature: an image whose signature stands behind years
// of nightly attestations, on a later page of the list, can be pulled; and so it
// can when somebody attaches thousands of things that call themselves
// signatures after it was found.
func TestAttestationsHideNoSignature(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	image := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":"sha256:` + strings.Repeat("a", 64) + `"},"layers":[]}`
	digest := upstream.Digest([]byte(image))
	const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	statement := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`,
		strings.TrimPrefix(digest, "sha256:"))
	const payloadType = "application/vnd.in-toto+json"
	sum := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(statement), statement))
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := json.Marshal(map[string]any{
		"mediaType": bundleType, "verificationMaterial": map[string]any{"publicKey": map[string]string{"hint": "x"}},
		"dsseEnvelope": map[string]any{
			"payload": statement64(statement), "payloadType": payloadType, "signatures": []any{map[string]any{"sig": signature}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
		bundleType, upstream.Digest(bundle), len(bundle))
	entry := func(digest, predicate string) string {
		return fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":1,"artifactType":%q,"annotations":{"dev.sigstore.bundle.predicateType":%q}}`,
			digest, bundleType, predicate)
	}
	var entries []string
	for i := range 3000 {
		entries = append(entries, entry(upstream.Digest(strconv.AppendInt(nil, int64(i), 10)), "https://slsa.dev/provenance/v1"))
	}
	entries = append(entries, entry(upstream.Digest([]byte(manifest)), "https://sigstore.dev/cosign/sign/v1"))

	file := filepath.Join(t.TempDir(), "cosign.pub")
	if err := os.WriteFile(file, publicKey(t, key), 0o600); err != nil {
		t.Fatal(err)
	}
	const perPage = 100
	s := start(t, `http://ADDR {
	registry_auth {
		service registry.test
		project team/** {
			guest anyone
			require signature {
				key `+file+`
			}
		}
	}
	reverse_proxy UPSTREAM
}`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", typeManifest)
		switch {
		case strings.HasSuffix(r.URL.Path, "/manifests/"+digest):
			_, _ = io.WriteString(w, image)
		case strings.HasSuffix(r.URL.Path, "/manifests/"+upstream.Digest([]byte(manifest))):
			_, _ = io.WriteString(w, manifest)
		case strings.HasSuffix(r.URL.Path, "/blobs/"+upstream.Digest(bundle)):
			_, _ = w.Write(bundle)
		case strings.Contains(r.URL.Path, "/referrers/"):
			from, _ := strconv.Atoi(r.URL.Query().Get("from"))
			until := min(from+perPage, len(entries))
			if until < len(entries) {
				w.Header().Set("Link", fmt.Sprintf(`<%s?from=%d>; rel="next"`, r.URL.Path, until))
			}
			w.Header().Set("Content-Type", typeIndex)
			_, _ = io.WriteString(w, `{"schemaVersion":2,"mediaType":"`+typeIndex+`","manifests":[`+strings.Join(entries[from:until], ",")+`]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	s.wants(http.StatusOK, "GET", "/v2/team/app/manifests/"+digest, "")
}

func statement64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
