package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPublications(t *testing.T) {
	r := openRing(t, NewMemoryStore(), Config{})
	for _, c := range []struct {
		name, kind string
		handler    http.Handler
		body       []byte
	}{
		{"jwks", "application/jwk-set+json", NewJWKSHandler(r), r.JWKS()},
		{"certificates", "application/x-pem-file", NewCertificatesHandler(r), r.CertificateBundle()},
	} {
		t.Run(c.name, func(t *testing.T) {
			get := func(method, etag string) *httptest.ResponseRecorder {
				req, w := httptest.NewRequest(method, "/", nil), httptest.NewRecorder()
				if etag != "" {
					req.Header.Set("If-None-Match", etag)
				}
				c.handler.ServeHTTP(w, req)
				return w
			}
			w := get("GET", "")
			if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), c.body) || w.Header().Get("Content-Type") != c.kind ||
				w.Header().Get("Cache-Control") != "public, max-age=300" {
				t.Errorf("GET: %d %v %s", w.Code, w.Header(), w.Body)
			}
			if bytes.Contains(w.Body.Bytes(), []byte("PRIVATE")) || bytes.Contains(w.Body.Bytes(), []byte(`"d"`)) {
				t.Fatal("a private key is published")
			}
			if w := get("HEAD", ""); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
				t.Errorf("HEAD: %d %v", w.Code, w.Header())
			}
			if w := get("GET", w.Header().Get("Etag")); w.Code != 304 || w.Body.Len() != 0 {
				t.Errorf("conditional GET: %d", w.Code)
			}
			if w := get("POST", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("POST: %d %v", w.Code, w.Header())
			}
		})
	}
}

// checkX5C does what a registry with a rootcertbundle does.
func checkX5C(t *testing.T, r *Ring, token string) {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	var header struct {
		Chain []string `json:"x5c"`
	}
	if err := json.Unmarshal(fromBase64(base64.RawURLEncoding, head), &header); err != nil {
		t.Fatal(err)
	}
	if len(header.Chain) != 1 {
		t.Fatalf("x5c has %d certificates", len(header.Chain))
	}
	leaf, err := x509.ParseCertificate(fromBase64(base64.StdEncoding, header.Chain[0]))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(r.CertificateBundle()) {
		t.Fatal("the bundle holds no certificate")
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
}
