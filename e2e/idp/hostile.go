// Package idp provides identity providers for the tests: a certified one that
// runs as a process of its own, and one in this process that does whatever a
// broken or hostile provider may do.
package idp

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// ClientSecret is the secret of every client at the hostile provider, public
// enough to be tried as an HMAC key.
const ClientSecret = "client-secret-that-must-never-verify-a-token"

// Key is a signing key with the names it goes by.
type Key struct {
	Private crypto.Signer
	ID, Alg string
}

// NewKey returns a fresh key for RS256 or ES256.
func NewKey(alg string) (*Key, error) {
	var private crypto.Signer
	var err error
	if alg == "ES256" {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return nil, fmt.Errorf("new %s key: %w", alg, err)
	}
	id, err := jose.Thumbprint(private.Public())
	if err != nil {
		return nil, fmt.Errorf("new %s key: %w", alg, err)
	}
	return &Key{Private: private, ID: id, Alg: alg}, nil
}

// Hostile is an identity provider under the test's control. It advertises the
// algorithms "none" and HS256, signs in whom it is told to (see Authorize), and
// signs whatever it is told to.
type Hostile struct {
	// Issuer is its URL and the "iss" of its tokens.
	Issuer string

	server *http.Server

	mu    sync.Mutex
	keys  []*Key
	fault func(http.ResponseWriter, *http.Request) bool
	hits  map[string]int
	codes map[string]authorization
}

// StartHostile starts a provider with one RS256 key on a free loopback port.
func StartHostile() (*Hostile, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start hostile provider: %w", err)
	}
	return StartHostileOn(l, "http://"+l.Addr().String())
}

// StartHostileOn is StartHostile on a listener that gateways reach by another
// address, the issuer.
func StartHostileOn(l net.Listener, issuer string) (*Hostile, error) {
	key, err := NewKey("RS256")
	if err != nil {
		return nil, err
	}
	p := &Hostile{Issuer: issuer, keys: []*Key{key}, hits: map[string]int{}, codes: map[string]authorization{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /jwks", p.jwks)
	mux.HandleFunc("POST /token", p.token)
	p.server = &http.Server{Handler: p.watched(mux), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = p.server.Serve(l) }()
	return p, nil
}

// Close stops the provider.
func (p *Hostile) Close() error { return p.server.Close() }

// Break makes fault look at every request first; what it answers (returns
// true for) the provider does not. Nil repairs the provider.
func (p *Hostile) Break(fault func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

// Hits returns how often each path was asked for.
func (p *Hostile) Hits() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.hits)
}

// Key returns the key that signs now.
func (p *Hostile) Key() *Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[0]
}

// Publish replaces the published keys; the first one signs.
func (p *Hostile) Publish(keys ...*Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

// Claims returns the claims of a good ID token, to be spoiled or signed.
func (p *Hostile) Claims(subject, audience string, groups ...string) jose.Object {
	now := time.Now().Unix()
	return jose.Object{
		"iss": p.Issuer, "sub": subject, "aud": audience, "iat": now, "exp": now + 3600,
		"preferred_username": subject, "groups": groups,
	}
}

// Sign returns the claims as a token of the provider's current key.
func (p *Hostile) Sign(claims jose.Object) (string, error) {
	k := p.Key()
	header := jose.Object{"alg": k.Alg, "kid": k.ID, "typ": "JWT"}
	return jose.Compact(header.Bytes(), claims.Bytes(), jose.KeySigner(k.Private, k.Alg))
}

func (p *Hostile) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.hits[r.URL.Path]++
		fault := p.fault
		p.mu.Unlock()
		if fault != nil && fault(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Hostile) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, jose.Object{
		"issuer":                                p.Issuer,
		"jwks_uri":                              p.Issuer + "/jwks",
		"authorization_endpoint":                p.Issuer + "/authorize",
		"token_endpoint":                        p.Issuer + "/token",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"none", "HS256", "RS256", "ES256"},
	})
}

func (p *Hostile) jwks(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	keys := p.keys
	p.mu.Unlock()
	set := []jose.Object{}
	for _, k := range keys {
		jwk, err := jose.JWK(k.Private.Public())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		set = append(set, jwk)
	}
	answer(w, jose.Object{"keys": set})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
