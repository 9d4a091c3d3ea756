package tokenendpoint

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
)

// publication is a public document about the keys of a ring, made once for
// each change of the ring.
type publication struct {
	contentType string
	body        []byte
	length      string
	etag        string
}

func publish(contentType string, body []byte) publication {
	sum := sha256.Sum256(body)
	return publication{
		contentType: contentType, body: body, length: strconv.Itoa(len(body)),
		etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
}

// serve answers with the document. It may be cached: a key is published well
// before it signs.
func (p *publication) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		answer.Write(w, r, http.StatusMethodNotAllowed, answer.CodeUnsupported, "keys can only be read", nil)
		return
	}
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Etag", p.etag)
	if r.Header.Get("If-None-Match") == p.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", p.contentType)
	h.Set("Content-Length", p.length)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(p.body) // the client went away: nobody to tell
	}
}
