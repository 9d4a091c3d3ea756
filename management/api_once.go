package management

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// maxIdempotencyKey is how long an Idempotency-Key may be.
const maxIdempotencyKey = 200

// once looks at the Idempotency-Key: what was done with it before is answered
// as it was then, and nothing is done.
func (a *API) once(w http.ResponseWriter, c *call, found *route, body []byte) (done bool, err error) {
	key := c.request.Header.Get("Idempotency-Key")
	if key == "" || !found.once {
		return false, nil
	}
	if len(key) > maxIdempotencyKey {
		return false, fail(CodeMalformed, "Idempotency-Key: longer than %d characters", maxIdempotencyKey)
	}
	o := newOnce(c.who, found.method+" "+c.request.URL.EscapedPath(), key, strongCredential(c.request), body)
	o.status, o.location = found.status, found.location
	record, answer, revision, err := a.manager.replay(o)
	if record == nil || err != nil {
		c.who.once = o
		return false, err
	}
	w.Header().Set("Idempotency-Replayed", "true")
	if found.versioned {
		w.Header().Set("ETag", etag(revision))
	}
	if record.Location != "" {
		w.Header().Set("Location", a.prefix+record.Location)
	}
	send(w, c.request, record.Status, json.RawMessage(answer))
	return true, nil
}

// repeatedMeanwhile says what it is when the same idempotency key was used at
// the same time.
func (a *API) repeatedMeanwhile(c *call, err error) error {
	var conflict *store.ConflictError
	if c.who != nil && c.who.once != nil && errors.As(err, &conflict) && conflict.Kind == a.manager.state.Once.Kind() {
		return fail(CodeRepeated, "this is being done at the moment: ask again to see the answer")
	}
	return err
}

// strongCredential returns what the client showed if nobody can guess it, so
// that a key made of it keeps a secret.
func strongCredential(r *http.Request) string {
	secret := shownSecret(r)
	if _, err := authn.ParseSecret(secret); err == nil {
		return secret
	}
	// A bearer token of that length is a key of the configuration or signed; a
	// password of that length may still be a sentence that somebody likes.
	if token := bearer(r.Header["Authorization"]); len(token) >= minStaticKey {
		return token
	}
	return ""
}
