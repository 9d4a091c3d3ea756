package tokenendpoint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
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

// publishJWKS makes the key set (RFC 7517 §5).
func publishJWKS(keys []*key) (publication, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: make([]jwk, 0, len(keys))}
	for _, k := range keys {
		published, err := newJWK(k.public)
		if err != nil {
			return publication{}, err
		}
		published.Use, published.Algorithm, published.ID = "sig", k.algorithm, k.id
		set.Keys = append(set.Keys, published)
	}
	body, err := json.Marshal(set)
	return publish("application/jwk-set+json", body), err
}

// JWKS returns the public keys as a JSON Web Key Set: those about to sign and
// those that have signed tokens which are still alive included.
func (r *KeyRing) JWKS() []byte { return r.current.Load().jwks.body }

// NewJWKSHandler publishes the key set of a ring.
func NewJWKSHandler(ring *KeyRing) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { ring.current.Load().jwks.serve(w, r) })
}
