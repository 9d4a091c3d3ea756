package demoregistry_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/cmd/caddy/demoregistry"
)

// get returns the body of a 200.
func get(t *testing.T, target string) []byte {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json, */*")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v: %s", target, resp.Status, err, body)
	}
	return body
}

func TestSeed(t *testing.T) {
	for name, dir := range map[string]string{"in memory": "", "on disk": filepath.Join(t.TempDir(), "data")} {
		t.Run(name, func(t *testing.T) {
			reg, err := demoregistry.New(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewServer(reg)
			defer srv.Close()
			for range 2 { // a second time finds all in place
				if err := demoregistry.Seed(context.Background(), srv.URL, "public/hello", "latest"); err != nil {
					t.Fatal(err)
				}
			}
			var manifest struct {
				Config struct{ Digest string }
				Layers []struct {
					Digest string
					Size   int
				}
			}
			if err := json.Unmarshal(get(t, srv.URL+"/v2/public/hello/manifests/latest"), &manifest); err != nil {
				t.Fatal(err)
			}
			for _, d := range []string{manifest.Config.Digest, manifest.Layers[0].Digest} {
				blob := get(t, srv.URL+"/v2/public/hello/blobs/"+d)
				if got := fmt.Sprintf("sha256:%x", sha256.Sum256(blob)); got != d {
					t.Errorf("blob %s has digest %s", d, got)
				}
			}
			if err := reg.Close(); err != nil {
				t.Error(err)
			}
			if dir != "" {
				if _, err := os.Stat(filepath.Join(dir, "docker", "registry", "v2")); err != nil {
					t.Errorf("the data stays: %v", err)
				}
			}
		})
	}
}

func TestSeedReportsRefusal(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	if err := demoregistry.Seed(context.Background(), srv.URL, "public/hello", "latest"); err == nil {
		t.Error("no error from something that is not a registry")
	}
}
