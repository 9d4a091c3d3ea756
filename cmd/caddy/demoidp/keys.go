package demoidp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"net/http"

	"github.com/golang-jwt/jwt/v5"
)

// The signature algorithms of the provider (RFC 7518 §3.1).
const (
	algRSA = "RS256"
	algEC  = "ES256"
)

type signingKey struct {
	alg, id string
	private crypto.Signer
}

// Rotate makes fresh RS256 and ES256 keys and signs with them from now on.
// The old ones stay published, so that their tokens are good until they
// expire, unless withdraw is set.
func (p *Provider) Rotate(withdraw bool) error {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("making an RSA key: %w", err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making an EC key: %w", err)
	}
	fresh := []signingKey{{algRSA, rand.Text(), r}, {algEC, rand.Text(), e}}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !withdraw {
		fresh = append(fresh, p.keys...)
	}
	p.keys = fresh
	return nil
}

// Mint signs claims with the current key of alg, "RS256" or "ES256": tokens of
// CI jobs, and bad tokens of every kind. "iss", "iat" and "exp" are set where
// claims does not say otherwise. It panics on an unknown alg or on claims that
// are not JSON: both are mistakes in the calling program.
func (p *Provider) Mint(alg string, claims map[string]any) string {
	return p.MintWithHeader(alg, nil, claims)
}

// MintWithHeader is [Provider.Mint] with further JOSE header parameters, which
// replace the usual "typ", "alg" and "kid" if they name them. A nil value
// removes the parameter.
func (p *Provider) MintWithHeader(alg string, header, claims map[string]any) string {
	key := p.signer(alg)
	now := p.cfg.Now()
	all := jwt.MapClaims{"iss": p.cfg.Issuer, "iat": now.Unix(), "exp": now.Add(p.cfg.Lifetime).Unix()}
	maps.Copy(all, claims)
	t := jwt.NewWithClaims(jwt.GetSigningMethod(alg), all)
	t.Header["kid"] = key.id
	for name, v := range header {
		if t.Header[name] = v; v == nil {
			delete(t.Header, name)
		}
	}
	s, err := t.SignedString(key.private)
	if err != nil {
		panic(fmt.Sprintf("minting a token: %v", err))
	}
	return s
}

func (p *Provider) signer(alg string) signingKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		if k.alg == alg {
			return k
		}
	}
	panic(fmt.Sprintf("minting a token: no key for algorithm %q", alg))
}

// serveKeys answers the published keys as a JWK set (RFC 7517 §5).
func (p *Provider) serveKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	keys := p.keys
	p.mu.Unlock()
	set := make([]map[string]string, 0, len(keys))
	for _, k := range keys {
		set = append(set, k.public())
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": set})
}

func (k signingKey) public() map[string]string {
	jwk := map[string]string{"kid": k.id, "alg": k.alg, "use": "sig"}
	b64 := base64.RawURLEncoding.EncodeToString
	switch pub := k.private.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"] = "RSA", b64(pub.N.Bytes())
		jwk["e"] = b64(big.NewInt(int64(pub.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := pub.Bytes() // 0x04, x, y (SEC 1 §2.3.3)
		if err != nil {
			panic(fmt.Sprintf("own EC key: %v", err)) // P-256, made above
		}
		jwk["kty"], jwk["crv"] = "EC", "P-256"
		jwk["x"], jwk["y"] = b64(point[1:33]), b64(point[33:])
	}
	return jwk
}
