package management

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// keepOnce is how long idempotency keys are remembered.
const keepOnce = 24 * time.Hour

// once is what an idempotency key is remembered by. The answer is kept sealed
// with the secret that the caller showed, since there may be a secret in it:
// what is in the store does not open it.
type once struct {
	id       string // of the record
	request  string // hash of what is asked
	key      []byte // that seals; nil: the answer is not kept
	status   int
	location func(answer any) string
}

// newOnce makes it. Credential is what the caller showed, if it is too random
// to be guessed.
func newOnce(who *Caller, route, key, credential string, body []byte) *once {
	caller := who.actor.Kind + " " + who.actor.ID + " " + who.actor.Name
	if who.Principal != nil {
		caller = who.Principal.Identity().ID() // a person's next ID token is the same person
	}
	name := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", caller, route, key))
	request := sha256.Sum256(body)
	o := &once{id: encode64(name[:]), request: encode64(request[:])}
	if credential != "" {
		sealing, err := hkdf.Key(sha256.New, []byte(credential), name[:], "idempotent answer", 32)
		if err == nil {
			o.key = sealing
		}
	}
	return o
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// remember adds to a change that it was done.
func (m *Manager) remember(who *Caller, tx *state.Tx, answer any) error {
	o := who.once
	if o == nil {
		return nil
	}
	now := m.second()
	record := &state.Once{Request: o.request, Status: o.status, Created: now, Until: now.Add(keepOnce)}
	if o.location != nil {
		record.Location = o.location(answer)
	}
	if o.key != nil {
		text, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		aead, err := o.aead()
		if err != nil {
			return err
		}
		nonce := make([]byte, aead.NonceSize())
		_, _ = rand.Read(nonce) // never fails
		record.Answer = aead.Seal(nonce, nonce, text, []byte(o.id+o.request))
	}
	condition := state.Absent
	if old, ok := m.state.Once.Get(o.id); ok && m.now().After(old.Value.Until) {
		condition = state.Unchanged(old) // it has ended and may be used for something else
	}
	state.Put(tx, m.state.Once, o.id, record, condition)
	return nil
}

// replay returns what was told the first time, nil if this is the first time.
// The revision is that of what was made then.
func (m *Manager) replay(o *once) (record *state.Once, answer []byte, revision uint64, err error) {
	item, ok := m.state.Once.Get(o.id)
	if !ok || m.now().After(item.Value.Until) {
		return nil, nil, 0, nil
	}
	r := item.Value
	if r.Request != o.request {
		return nil, nil, 0, fail(CodeRepeated, "this idempotency key was used for something else at %s", r.Created.Format(time.RFC3339))
	}
	done := fail(CodeRepeated, "this was done at %s, and what was answered is not kept", r.Created.Format(time.RFC3339))
	done.Location = r.Location
	if o.key == nil || len(r.Answer) == 0 {
		return nil, nil, 0, done
	}
	aead, err := o.aead()
	if err != nil || len(r.Answer) < aead.NonceSize() {
		return nil, nil, 0, done
	}
	n := aead.NonceSize()
	answer, err = aead.Open(nil, r.Answer[:n], r.Answer[n:], []byte(o.id+o.request))
	if err != nil {
		return nil, nil, 0, done
	}
	return r, answer, item.Revision, nil
}

func (o *once) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(o.key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

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
