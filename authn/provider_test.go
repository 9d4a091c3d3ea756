package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type object = map[string]any

// testKey is a signing key of a [testProvider].
type testKey struct {
	id, algorithm string
	private       crypto.Signer
}

var (
	makeRSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	makeBad = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newECKey(id string) testKey {
	return testKey{id, "ES256", must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func encodeJSON(v any) string { return encode(must(json.Marshal(v))) }

// jwk is the public key as a provider publishes it.
func (k testKey) jwk() object {
	m := object{"kid": k.id, "use": "sig", "alg": k.algorithm}
	switch public := k.private.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", encode(public.N.Bytes()), encode(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		raw := must(public.Bytes())
		half := (len(raw) - 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", public.Curve.Params().Name, encode(raw[1:1+half]), encode(raw[1+half:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", encode(public)
	}
	return m
}

// sign makes a token whose header is that of the key, changed by header.
func (k testKey) sign(header, claims object) string {
	h := object{"alg": k.algorithm, "kid": k.id, "typ": "JWT"}
	for name, v := range header {
		if v == nil {
			delete(h, name)
		} else {
			h[name] = v
		}
	}
	signed := encodeJSON(h) + "." + encodeJSON(claims)
	return signed + "." + encode(k.signature(signed))
}

func (k testKey) signature(signed string) []byte {
	a := signatureAlgorithms[k.algorithm]
	if a.family == "EdDSA" {
		return must(k.private.Sign(nil, []byte(signed), crypto.Hash(0)))
	}
	h := a.hash.New()
	h.Write([]byte(signed))
	sum := h.Sum(nil)
	switch private := k.private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, sum)
		if err != nil {
			panic(err)
		}
		size := (private.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case *rsa.PrivateKey:
		if a.family == "PS" {
			return must(rsa.SignPSS(rand.Reader, private, a.hash, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		}
		return must(rsa.SignPKCS1v15(rand.Reader, private, a.hash, sum))
	}
	panic("unknown key")
}

// testProvider is an OpenID provider that publishes keys, and misbehaves as
// told.
type testProvider struct {
	*httptest.Server
	discoveries, fetches atomic.Int32

	mu    sync.Mutex
	keys  []any                                         // published: testKey, or a JWK as it is
	fault func(http.ResponseWriter, *http.Request) bool // true: it has answered
}

func newProvider(t testing.TB, keys ...any) *testProvider {
	t.Helper()
	p := &testProvider{keys: keys}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *testProvider) publish(keys ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

func (p *testProvider) fail(fault func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

// away makes the provider answer nothing but 503.
func (p *testProvider) away() {
	p.fail(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
}

func (p *testProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/jwks" {
		p.fetches.Add(1)
	} else {
		p.discoveries.Add(1)
	}
	p.mu.Lock()
	fault, keys := p.fault, p.keys
	p.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path != "/jwks" {
		_ = json.NewEncoder(w).Encode(object{
			"issuer": p.URL, "jwks_uri": p.URL + "/jwks", "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token",
			// A trap: what is accepted is not for the provider to say.
			"id_token_signing_alg_values_supported": []string{"none", "HS256", "RS256"},
		})
		return
	}
	set := []any{}
	for _, k := range keys {
		if k, ok := k.(testKey); ok {
			set = append(set, k.jwk())
			continue
		}
		set = append(set, k)
	}
	_ = json.NewEncoder(w).Encode(object{"keys": set})
}

// testClock is a clock that tests set.
type testClock struct{ offset atomic.Int64 }

func (c *testClock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *testClock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// claims are those of alice's good token, changed by change; nil removes.
func (p *testProvider) claims(now time.Time, change object) object {
	c := object{
		"iss": p.URL, "aud": "registry", "sub": "a1", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"preferred_username": "alice", "groups": []string{"dev", "ops"}, "jti": "j1", "nonce": "whatever",
	}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func (p *testProvider) oidc(t testing.TB, clock *testClock, change func(*OIDCConfig)) *OIDC {
	t.Helper()
	c := OIDCConfig{Issuer: p.URL, ClientID: "registry", ClaimsConfig: ClaimsConfig{Roles: "realm_access.roles"}}
	if change != nil {
		change(&c)
	}
	a, err := NewOIDC(c, Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func show(token string) *Credential { return &Credential{Scheme: SchemeBearer, Secret: token} }
