package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// TestWithdrawnKeyIsNotTrusted: a key that is taken out of its file does not
// wait for a reload, which Caddy would not do: the configuration is the same.
func TestWithdrawnKeyIsNotTrusted(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	another, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	image := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":"sha256:` + strings.Repeat("a", 64) + `"},"layers":[]}`
	digest := upstream.Digest([]byte(image))
	payload := fmt.Sprintf(`{"critical":{"identity":{"docker-reference":"x"},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, digest)
	sum := sha256.Sum256([]byte(payload))
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signatures := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":%q,"size":%d,"annotations":{"dev.cosignproject.cosign/signature":%q}}]}`,
		upstream.Digest([]byte(payload)), len(payload), base64.StdEncoding.EncodeToString(signature))
	dir := t.TempDir()
	file, secret := filepath.Join(dir, "cosign.pub"), filepath.Join(dir, "password")
	write := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(name+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
	write(file, publicKey(t, key))
	write(secret, []byte("first"))
	s := start(t, `http://ADDR {
	registry_auth {
		service registry.test
		project team/** {
			guest anyone
			require signature {
				key `+file+`
			}
		}
		upstream_auth basic gateway {file.`+secret+`}
	}
	reverse_proxy UPSTREAM
}`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", typeManifest)
		switch {
		case strings.HasSuffix(r.URL.Path, "/manifests/"+digest):
			_, _ = io.WriteString(w, image)
		case strings.HasSuffix(r.URL.Path, ".sig"):
			_, _ = io.WriteString(w, signatures)
		case strings.Contains(r.URL.Path, "/blobs/"):
			_, _ = io.WriteString(w, payload)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	path := "/v2/team/app/manifests/" + digest
	s.wants(http.StatusOK, "GET", path, "")
	write(file, publicKey(t, another))
	s.within(5*time.Second, http.StatusPreconditionFailed, path)
	write(file, append(publicKey(t, another), publicKey(t, key)...))
	s.within(15*time.Second, http.StatusOK, path) // a refusal is remembered for ten seconds
	write(file, []byte("not a key"))
	s.within(5*time.Second, http.StatusPreconditionFailed, path)

	// What is not read again is said, with what to do.
	write(secret, []byte("second"))
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		log := strings.Join(s.Log.Since(0), "\n")
		if strings.Contains(log, "caddy reload --force") && strings.Contains(log, secret) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nothing says that a secret's file has changed")
		}
	}
}

func publicKey(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// within wants GET of a path to have a status soon.
func (s *scene) within(patience time.Duration, want int, path string) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		res, answer := s.call("GET", path, "")
		if res.StatusCode == want {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("GET %s: %s after %s, want %d: %.300s", path, res.Status, patience, want, answer)
		}
	}
}
