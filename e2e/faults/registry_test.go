package faults

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/upstream"
)

// registry is what stands behind the gateways: it takes pushes of any size, of
// which it remembers digests, and can be told to answer otherwise.
type registry struct {
	*httptest.Server
	line *line // what gateways reach it by

	mu        sync.Mutex
	manifests map[string]string // digest by repository:tag
	blobs     map[string]bool
	uploads   atomic.Int64
	fault     atomic.Pointer[http.HandlerFunc]
}

// content is the manifest that everybody pulls.
var content = []byte(`{"schemaVersion":2,"mediaType":"` + upstream.ManifestType + `","padding":"` + strings.Repeat("m", 700) + `"}`)

func newRegistry(t *testing.T) *registry {
	r := &registry{manifests: map[string]string{}, blobs: map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	r.line = newLine(t, r.Listener.Addr().String())
	return r
}

// breakWith makes the registry answer like that; nil repairs it.
func (r *registry) breakWith(h http.HandlerFunc) {
	if h == nil {
		r.fault.Store(nil)
		return
	}
	r.fault.Store(&h)
}

func (r *registry) serve(w http.ResponseWriter, q *http.Request) {
	if h := r.fault.Load(); h != nil {
		(*h)(w, q)
		return
	}
	r.serveWell(w, q)
}

func (r *registry) serveWell(w http.ResponseWriter, q *http.Request) {
	repository, rest, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/v2/"), "/manifests/")
	if rest != "" {
		r.manifest(w, q, repository+":"+rest)
		return
	}
	repository, upload, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/v2/"), "/blobs/uploads/")
	if q.Method == http.MethodPost {
		w.Header().Set("Location", fmt.Sprintf("/v2/%s/blobs/uploads/%d", repository, r.uploads.Add(1)))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, q.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	digest := fmt.Sprintf("sha256:%x", hash.Sum(nil))
	switch {
	case upload == "" || q.Method == http.MethodPatch:
		w.Header().Set("Location", q.URL.Path)
		w.WriteHeader(http.StatusAccepted)
	case q.URL.Query().Get("digest") != digest:
		w.WriteHeader(http.StatusBadRequest)
	default:
		r.mu.Lock()
		r.blobs[digest] = true
		r.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
	}
}

func (r *registry) manifest(w http.ResponseWriter, q *http.Request, name string) {
	if q.Method == http.MethodPut {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		r.manifests[name] = upstream.Digest(body)
		r.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		return
	}
	w.Header().Set("Content-Type", upstream.ManifestType)
	w.Header().Set("Docker-Content-Digest", upstream.Digest(content))
	_, _ = w.Write(content)
}

// has reports whether the registry got a manifest under a name.
func (r *registry) has(name, digest string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.manifests[name] == digest
}

// hasBlob reports whether the registry got a blob.
func (r *registry) hasBlob(digest string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blobs[digest]
}
