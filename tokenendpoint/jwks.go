package tokenendpoint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
)

// jwk is a public key in the form of RFC 7517; binary members are base64url.
type jwk struct {
	Type      string    `json:"kty"`
	Use       string    `json:"use,omitempty"`
	Algorithm Algorithm `json:"alg,omitempty"`
	ID        string    `json:"kid,omitempty"`
	Curve     string    `json:"crv,omitempty"`
	X         string    `json:"x,omitempty"`
	Y         string    `json:"y,omitempty"`
	N         string    `json:"n,omitempty"`
	E         string    `json:"e,omitempty"`
}

func newJWK(public crypto.PublicKey) (jwk, error) {
	encode := base64.RawURLEncoding.EncodeToString
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, X, Y
		if err != nil {
			return jwk{}, err
		}
		half := 1 + len(point)/2
		return jwk{
			Type: "EC", Curve: public.Curve.Params().Name,
			X: encode(point[1:half]), Y: encode(point[half:]),
		}, nil
	case *rsa.PublicKey:
		e := big.NewInt(int64(public.E)).Bytes()
		return jwk{Type: "RSA", N: encode(public.N.Bytes()), E: encode(e)}, nil
	case ed25519.PublicKey:
		return jwk{Type: "OKP", Curve: "Ed25519", X: encode(public)}, nil
	}
	return jwk{}, fmt.Errorf("unknown kind of public key %T", public)
}

// keySet is the published form of a ring, made once per change.
type keySet struct {
	body   []byte
	length string
	etag   string
}

func newKeySet(keys []*key) (keySet, error) {
	document := struct {
		Keys []jwk `json:"keys"`
	}{Keys: make([]jwk, 0, len(keys))}
	for _, k := range keys {
		published, err := newJWK(k.public)
		if err != nil {
			return keySet{}, err
		}
		published.Use, published.Algorithm, published.ID = "sig", k.algorithm, k.id
		document.Keys = append(document.Keys, published)
	}
	body, err := json.Marshal(document)
	if err != nil {
		return keySet{}, err
	}
	sum := sha256.Sum256(body)
	return keySet{
		body: body, length: strconv.Itoa(len(body)),
		etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}, nil
}

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517 §5), those
// about to sign and those that have signed tokens still alive included.
func (r *KeyRing) JWKS() []byte { return r.current.Load().published.body }

// ServeHTTP publishes the key set. It is public and may be cached for as long
// as a new key is published before it signs.
func (r *KeyRing) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		WriteError(w, req, http.StatusMethodNotAllowed, CodeUnsupported,
			"the key set is read with GET or HEAD", nil)
		return
	}
	set := r.current.Load().published
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Etag", set.etag)
	if req.Header.Get("If-None-Match") == set.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Content-Length", set.length)
	w.WriteHeader(http.StatusOK)
	if req.Method == http.MethodGet {
		_, _ = w.Write(set.body) // the client went away: nobody to tell
	}
}
