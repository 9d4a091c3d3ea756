package authn

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// outcome fails the test unless the token has the wanted outcome.
func outcome(t *testing.T, a *OIDC, token string, want error) *Principal {
	t.Helper()
	p, err := a.Authenticate(t.Context(), show(token))
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("got %v, want %v", err, want)
	}
	if err != nil && p != nil {
		t.Fatal("principal together with an error")
	}
	if err != nil && strings.Contains(err.Error(), token) {
		t.Fatal("error shows the token")
	}
	return p
}

func TestOIDCPrincipal(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	a := provider.oidc(t, clock, nil)
	token := key.sign(nil, provider.claims(clock.now(), object{
		"realm_access": object{"roles": []string{"reader", "writer"}},
	}))
	p := outcome(t, a, token, nil)
	if p.Kind != KindUser || p.Name != "alice" || p.Issuer != provider.URL || p.Subject != "a1" ||
		!reflect.DeepEqual(p.Groups, []string{"dev", "ops"}) || !reflect.DeepEqual(p.Roles, []string{"reader", "writer"}) ||
		p.Authenticator != "oidc:"+provider.URL || p.Credential != "id_token" || p.CredentialID != "j1" ||
		p.Expires.Sub(clock.now()).Round(time.Minute) != 5*time.Minute || p.Claims["nonce"] != "whatever" {
		t.Errorf("principal %+v", p)
	}
	again, err := a.Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "whoever", Secret: token})
	if err != nil || again != p {
		t.Errorf("as a password: %v, %v", again, err)
	}
	if n := provider.fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	if err := a.Recheck(p, &Credential{}); err != nil {
		t.Errorf("recheck: %v", err)
	}
	if err := a.Recheck(&Principal{Kind: KindUser, Name: "alice", Issuer: "https://other.example"}, &Credential{}); !errors.Is(err, ErrDisabled) {
		t.Errorf("recheck of another provider's user: %v", err)
	}
	clock.advance(6*time.Minute + time.Second)
	outcome(t, a, token, ErrExpired)
}

func TestOIDCClaims(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	now := clock.now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, test := range []struct {
		name   string
		change object
		err    error
	}{
		{"good", nil, nil},
		{"aud in a list", object{"aud": []string{"registry"}}, nil},
		{"aud among others, azp ours", object{"aud": []string{"registry", "x"}, "azp": "registry"}, nil},
		{"azp ours", object{"azp": "registry"}, nil},
		{"further audience", object{"aud": "registry-api"}, nil},
		{"azp configured", object{"azp": "cli"}, nil},
		{"no groups", object{"groups": nil}, nil},
		{"groups of another type", object{"groups": 7}, nil},
		{"within leeway of exp", object{"exp": in(-50 * time.Second)}, nil},
		{"within leeway of nbf", object{"nbf": in(50 * time.Second)}, nil},
		{"within leeway of iat", object{"iat": in(50 * time.Second)}, nil},
		{"fraction of a second", object{"iat": float64(in(0)) + 0.5}, nil},
		{"claims kept elsewhere that we do not use", object{"_claim_names": object{"phones": "src1"}}, nil},
		{"email not verified, but not used", object{"email_verified": false}, nil},
		{"user name in UTF-8", object{"preferred_username": "émile@example.com"}, nil},

		{"aud-other", object{"aud": "other-client"}, ErrInvalid},
		{"aud-missing", object{"aud": nil}, ErrInvalid},
		{"aud-empty", object{"aud": ""}, ErrInvalid},
		{"aud-empty-list", object{"aud": []string{}}, ErrInvalid},
		{"aud-number", object{"aud": 1}, ErrInvalid},
		{"aud-list-mixed", object{"aud": []any{"registry", 1}, "azp": "registry"}, ErrInvalid},
		{"aud-prefix", object{"aud": "registry2"}, ErrInvalid},
		{"aud-case", object{"aud": "Registry"}, ErrInvalid},
		{"aud-several-no-azp", object{"aud": []string{"registry", "x"}}, ErrInvalid},
		{"azp-other", object{"azp": "other"}, ErrInvalid},
		{"azp-number", object{"azp": 1}, ErrInvalid},
		{"azp-empty", object{"azp": ""}, ErrInvalid},
		{"exp-missing", object{"exp": nil}, ErrInvalid},
		{"exp-string", object{"exp": "2099"}, ErrInvalid},
		{"exp-huge", object{"exp": 1e300}, ErrInvalid},
		{"exp-negative", object{"exp": -1}, ErrInvalid},
		{"exp-past", object{"exp": in(-61 * time.Second)}, ErrExpired},
		{"iat-missing", object{"iat": nil}, ErrInvalid},
		{"iat-future", object{"iat": in(24 * time.Hour)}, ErrInvalid},
		{"iat-too-old", object{"iat": in(-13 * time.Hour)}, ErrExpired},
		{"nbf-future", object{"nbf": in(6 * time.Minute)}, ErrInvalid},
		{"nbf-string", object{"nbf": "now"}, ErrInvalid},
		{"sub-missing", object{"sub": nil}, ErrInvalid},
		{"sub-empty", object{"sub": ""}, ErrInvalid},
		{"sub-number", object{"sub": 1}, ErrInvalid},
		{"sub-huge", object{"sub": strings.Repeat("s", 256)}, ErrInvalid},
		{"events", object{"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}}}, ErrInvalid},
		{"groups-overage", object{"groups": nil, "_claim_names": object{"groups": "src1"}, "_claim_sources": object{"src1": object{"endpoint": "http://127.0.0.1:1/"}}}, ErrInvalid},
		{"roles-overage", object{"_claim_names": object{"realm_access": "src1"}}, ErrInvalid},
		{"user-missing", object{"preferred_username": nil}, ErrInvalid},
		{"user-empty", object{"preferred_username": ""}, ErrInvalid},
		{"user-list", object{"preferred_username": []string{"alice"}}, ErrInvalid},
		{"user-long", object{"preferred_username": strings.Repeat("u", 256)}, ErrInvalid},
		{"user-like-robot", object{"preferred_username": "robot$ci"}, ErrInvalid},
		{"user-like-robot-case", object{"preferred_username": "ROBOT$ci"}, ErrInvalid},
		{"user-colon", object{"preferred_username": "a:b"}, ErrInvalid},
		{"user-quote", object{"preferred_username": `a"b`}, ErrInvalid},
		{"user-backslash", object{"preferred_username": `a\b`}, ErrInvalid},
		{"user-comma", object{"preferred_username": "a,b"}, ErrInvalid},
		{"user-space", object{"preferred_username": "a b"}, ErrInvalid},
		{"user-no-break-space", object{"preferred_username": "a\u00a0b"}, ErrInvalid},
		{"user-line-end", object{"preferred_username": "alice\n"}, ErrInvalid},
		{"user-nul", object{"preferred_username": "alice\x00"}, ErrInvalid},
		{"user-bidi", object{"preferred_username": "a\u202eecila"}, ErrInvalid},
		{"user-zero-width", object{"preferred_username": "ali\u200bce"}, ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := provider.oidc(t, clock, func(c *OIDCConfig) {
				c.Audiences, c.AuthorizedParties, c.MaxAge = []string{"registry-api"}, []string{"cli"}, Duration(12*time.Hour)
			})
			outcome(t, a, key.sign(nil, provider.claims(now, test.change)), test.err)
		})
	}
}

func TestOIDCConfigured(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	token := func(change object) string { return key.sign(nil, provider.claims(clock.now(), change)) }

	email := provider.oidc(t, clock, func(c *OIDCConfig) { c.Username = "email" })
	outcome(t, email, token(object{"email": "a@example.com", "email_verified": true}), nil)
	outcome(t, email, token(object{"email": "a@example.com"}), nil)
	outcome(t, email, token(object{"email": "a@example.com", "email_verified": false}), ErrInvalid)
	outcome(t, email, token(object{"email": "a@example.com", "email_verified": "false"}), ErrInvalid)

	prefixed := provider.oidc(t, clock, func(c *OIDCConfig) { c.Prefix, c.Groups, c.Roles = "corp/", "nested.https://a.b/groups", "role" })
	p := outcome(t, prefixed, token(object{"nested": object{"https://a.b/groups": []any{"x", 1, "", "y\n"}}, "role": "admin"}), nil)
	if p.Name != "corp/alice" || !reflect.DeepEqual(p.Groups, []string{"corp/x"}) || !reflect.DeepEqual(p.Roles, []string{"corp/admin"}) {
		t.Errorf("principal %+v", p)
	}

	required := provider.oidc(t, clock, func(c *OIDCConfig) { c.RequiredGroups = []string{"registry", "ops"} })
	outcome(t, required, token(nil), nil)
	outcome(t, required, token(object{"groups": "registry"}), nil)
	outcome(t, required, token(object{"groups": []string{"dev", "registry2"}}), ErrDisabled)
	outcome(t, required, token(object{"groups": nil}), ErrDisabled)
}

// The groups of a token are those of the token, not of earlier ones.
func TestOIDCGroupsAreNotMerged(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	a := provider.oidc(t, clock, nil)
	outcome(t, a, key.sign(nil, provider.claims(clock.now(), object{"groups": []string{"a", "b"}})), nil)
	p := outcome(t, a, key.sign(nil, provider.claims(clock.now(), object{"groups": []string{"b"}})), nil)
	if !reflect.DeepEqual(p.Groups, []string{"b"}) {
		t.Errorf("groups %v", p.Groups)
	}
}

func TestOIDCHeaderAndForm(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	a := provider.oidc(t, clock, nil)
	claims := provider.claims(clock.now(), nil)
	good := key.sign(nil, claims)
	parts := strings.Split(good, ".")
	outcome(t, a, good, nil)

	// The last character of 64 bytes in base64 has four unused bits.
	last := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	spelling := good[:len(good)-1] + string(last[strings.IndexByte(last, good[len(good)-1])|1])
	duplicate := func(text string) string {
		signed := encodeJSON(object{"alg": "ES256", "kid": "k1"}) + "." + encode([]byte(text))
		return signed + "." + encode(key.signature(signed))
	}
	for name, token := range map[string]string{
		"crit":           key.sign(object{"crit": []string{"exp"}}, claims),
		"b64":            key.sign(object{"b64": false}, claims),
		"zip":            key.sign(object{"zip": "DEF"}, claims),
		"typ at+jwt":     key.sign(object{"typ": "at+jwt"}, claims),
		"typ logout+jwt": key.sign(object{"typ": "logout+jwt"}, claims),
		"typ number":     key.sign(object{"typ": 1}, claims),
		"kid number":     key.sign(object{"kid": 1}, claims),
		"kid long":       key.sign(object{"kid": strings.Repeat("k", 300)}, claims),
		"kid path":       key.sign(object{"kid": "../../../../dev/null"}, claims),
		"kid SQL":        key.sign(object{"kid": "k1' OR '1'='1"}, claims),
		"kid empty":      key.sign(object{"kid": ""}, claims),
		"no alg":         key.sign(object{"alg": nil}, claims),
		"alg number":     key.sign(object{"alg": 1}, claims),
		"alg none":       key.sign(object{"alg": "none"}, claims),
		"alg None":       key.sign(object{"alg": "None"}, claims),
		"alg es256":      key.sign(object{"alg": "es256"}, claims),
		"alg ES384":      key.sign(object{"alg": "ES384"}, claims),
		"alg RS256":      key.sign(object{"alg": "RS256"}, claims),
		"line end":       good + "\r\n",
		"line in header": good[:4] + "\n" + good[4:],
		"other spelling": spelling,
		"padding":        good + "=",
		"truncated":      good[:len(good)-2],
		"no signature":   parts[0] + "." + parts[1] + ".",
		"four parts":     good + ".",
		"five parts":     good + ".a.b",
		"two parts":      parts[0] + "." + parts[1],
		"dots":           "e" + strings.Repeat(".", 15_000),
		"other claims":   parts[0] + "." + encodeJSON(provider.claims(clock.now(), object{"preferred_username": "root"})) + "." + parts[2],
		"huge":           key.sign(nil, provider.claims(clock.now(), object{"sub": strings.Repeat("s", 1<<20)})),
		"deep":           key.sign(nil, provider.claims(clock.now(), object{"x": nest(100)})),
		"claims twice":   duplicate(`{"iss":"` + provider.URL + `","aud":"other","aud":"registry"}`),
		"iss twice":      duplicate(`{"iss":"https://other.example","iss":"` + provider.URL + `"}`),
		"claims list":    duplicate(`["` + provider.URL + `"]`),
		"claims null":    duplicate(`null`),
		"claims twofold": duplicate(`{"iss":"` + provider.URL + `"}{}`),
		"claims utf-8":   duplicate("{\"iss\":\"" + provider.URL + "\",\"a\":\"\xff\"}"),
		"not JSON":       duplicate(`{"iss":"` + provider.URL + `",}`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.Authenticate(t.Context(), show(token))
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNotMine) {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, token := range map[string]string{
		"no typ":      key.sign(object{"typ": nil}, claims),
		"typ jwt":     key.sign(object{"typ": "jwt"}, claims),
		"no kid":      key.sign(object{"kid": nil}, claims),
		"unknown":     key.sign(object{"unknown": object{"a": 1}}, claims),
		"jku ignored": key.sign(object{"jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"}, claims),
	} {
		t.Run(name, func(t *testing.T) { outcome(t, a, token, nil) })
	}
}

func nest(depth int) any {
	if depth == 0 {
		return "x"
	}
	return []any{nest(depth - 1)}
}

func TestOIDCForged(t *testing.T) {
	good := testKey{"k1", "RS256", makeRSA()}
	ec := newECKey("k2")
	provider, clock := newProvider(t, good, ec), &testClock{}
	a := provider.oidc(t, clock, nil)
	claims := provider.claims(clock.now(), nil)
	outcome(t, a, good.sign(nil, claims), nil)

	public := must(x509.MarshalPKIXPublicKey(good.private.Public()))
	hs256 := func(secret []byte) string {
		signed := encodeJSON(object{"alg": "HS256", "kid": "k1"}) + "." + encodeJSON(claims)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + encode(mac.Sum(nil))
	}
	evil := testKey{"k1", "RS256", makeBad()}
	evilEC := testKey{"evil", "ES256", must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	signed := encodeJSON(object{"alg": "ES256", "kid": "k2"}) + "." + encodeJSON(claims)
	raw := func(r, s *big.Int) string {
		return signed + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}
	zero, order := new(big.Int), elliptic.P256().Params().N
	sum := sha256.Sum256([]byte(signed))
	der := must(ec.private.Sign(rand.Reader, sum[:], crypto.SHA256))
	var rs struct{ R, S *big.Int }
	must(asn1.Unmarshal(der, &rs))

	for name, token := range map[string]string{
		"HS256 with the public key in PEM":  hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"HS256 with the public key in DER":  hs256(public),
		"HS256 with the public key as JWK":  hs256(must(json.Marshal(good.jwk()))),
		"HS256 with nothing":                hs256(nil),
		"HS256 with the client ID":          hs256([]byte("registry")),
		"none":                              encodeJSON(object{"alg": "none"}) + "." + encodeJSON(claims) + ".AA",
		"none without signature":            encodeJSON(object{"alg": "none"}) + "." + encodeJSON(claims) + ".",
		"another key, same kid":             evil.sign(nil, claims),
		"another key in the header":         evil.sign(object{"jwk": evil.jwk()}, claims),
		"another key in the header, no kid": evilEC.sign(object{"kid": nil, "jwk": evilEC.jwk()}, claims),
		"RS256 key with PS256":              testKey{"k1", "PS256", good.private}.sign(nil, claims),
		"RS256 key with RS512":              testKey{"k1", "RS512", good.private}.sign(nil, claims),
		"EC key under the RSA kid":          testKey{"k1", "ES256", ec.private}.sign(nil, claims),
		"r and s zero":                      raw(zero, zero),
		"r zero":                            raw(zero, big.NewInt(1)),
		"s zero":                            raw(big.NewInt(1), zero),
		"r is the order":                    raw(order, big.NewInt(1)),
		"r and s are the order":             raw(order, order),
		"DER":                               signed + "." + encode(der),
		"signature of zeros":                signed + "." + encode(make([]byte, 64)),
		"signature too long":                raw(rs.R, rs.S) + "AAAA",
		"expired and badly signed":          evil.sign(nil, provider.claims(clock.now().Add(-time.Hour), nil)),
	} {
		t.Run(name, func(t *testing.T) { outcome(t, a, token, ErrInvalid) })
	}
	outcome(t, a, raw(rs.R, rs.S), nil)
	if _, err := a.Authenticate(t.Context(), show(evil.sign(nil, provider.claims(clock.now().Add(-time.Hour), nil)))); errors.Is(err, ErrExpired) {
		t.Error("a forged token is called expired")
	}
	if n := provider.fetches.Load(); n > 2 {
		t.Errorf("%d fetches", n)
	}
}

func TestOIDCAlgorithms(t *testing.T) {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	keys := []testKey{}
	for name, a := range signatureAlgorithms {
		var private crypto.Signer = makeRSA()
		switch a.family {
		case "ES":
			private = must(ecdsa.GenerateKey(a.curve, rand.Reader))
		case "EdDSA":
			private = ed
		}
		keys = append(keys, testKey{"k-" + name, name, private})
	}
	published := make([]any, len(keys))
	for i, k := range keys {
		published[i] = k
	}
	provider, clock := newProvider(t, published...), &testClock{}
	defaults := provider.oidc(t, clock, nil)
	for _, k := range keys {
		token := k.sign(nil, provider.claims(clock.now(), nil))
		outcome(t, provider.oidc(t, clock, func(c *OIDCConfig) { c.Algorithms = []string{k.algorithm} }), token, nil)
		want := ErrInvalid
		if k.algorithm == "RS256" || k.algorithm == "ES256" {
			want = nil
		}
		outcome(t, defaults, token, want)
	}
}

func TestOIDCNotMine(t *testing.T) {
	key, other := newECKey("k1"), newECKey("k1")
	provider, second, clock := newProvider(t, key), newProvider(t, other), &testClock{}
	a, b := provider.oidc(t, clock, nil), second.oidc(t, clock, nil)
	secret, _ := NewSecret(SecretRobot)
	for name, text := range map[string]string{
		"robot secret":   secret,
		"opaque":         "abc",
		"another issuer": other.sign(nil, second.claims(clock.now(), nil)),
		"no issuer":      key.sign(nil, provider.claims(clock.now(), object{"iss": nil})),
		"issuer list":    key.sign(nil, provider.claims(clock.now(), object{"iss": []string{provider.URL}})),
		"issuer slash":   key.sign(nil, provider.claims(clock.now(), object{"iss": provider.URL + "/"})),
		"issuer case":    key.sign(nil, provider.claims(clock.now(), object{"iss": strings.ToUpper(provider.URL)})),
	} {
		t.Run(name, func(t *testing.T) { outcome(t, a, text, ErrNotMine) })
	}
	if provider.discoveries.Load()+second.discoveries.Load() != 0 {
		t.Error("somebody else's token reaches the provider")
	}
	// Signed by one provider, in the name of the other.
	ch := NewChain([]Member{NewMember(a.Name(), a), NewMember(b.Name(), b)}, nil)
	_, err := ch.Authenticate(t.Context(), show(other.sign(nil, provider.claims(clock.now(), nil))))
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("mixed up: %v", err)
	}
	p, err := ch.Authenticate(t.Context(), show(other.sign(nil, second.claims(clock.now(), nil))))
	if err != nil || p.Issuer != second.URL {
		t.Errorf("second provider: %v, %v", p, err)
	}
}

func TestOIDCConfigRefuses(t *testing.T) {
	good := OIDCConfig{Issuer: "https://sso.example.com/realms/corp", ClientID: "registry"}
	for name, change := range map[string]func(*OIDCConfig){
		"no issuer":         func(c *OIDCConfig) { c.Issuer = "" },
		"relative issuer":   func(c *OIDCConfig) { c.Issuer = "sso.example.com" },
		"http":              func(c *OIDCConfig) { c.Issuer = "http://sso.example.com" },
		"ftp":               func(c *OIDCConfig) { c.Issuer, c.InsecureIssuer = "ftp://sso.example.com", true },
		"http, looks local": func(c *OIDCConfig) { c.Issuer = "http://localhost.example.com" },
		"issuer with query": func(c *OIDCConfig) { c.Issuer += "?a=b" },
		"issuer with user":  func(c *OIDCConfig) { c.Issuer = "https://u:hunter2@sso.example.com" },
		"no audience":       func(c *OIDCConfig) { c.ClientID = "" },
		"empty audience":    func(c *OIDCConfig) { c.Audiences = []string{""} },
		"none":              func(c *OIDCConfig) { c.Algorithms = []string{"none"} },
		"HS256":             func(c *OIDCConfig) { c.Algorithms = []string{"RS256", "HS256"} },
		"rs256":             func(c *OIDCConfig) { c.Algorithms = []string{"rs256"} },
		"clock_skew":        func(c *OIDCConfig) { c.ClockSkew = Duration(time.Hour) },
		"jwks_max_age":      func(c *OIDCConfig) { c.JWKSMaxAge = Duration(time.Millisecond) },
		"jwks_grace":        func(c *OIDCConfig) { c.JWKSGrace = -1 },
		"max_age":           func(c *OIDCConfig) { c.MaxAge = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			if _, err := NewOIDC(c, Options{}); err == nil {
				t.Fatal("accepted")
			} else if strings.Contains(err.Error(), "hunter2") {
				t.Error("error shows a password")
			}
		})
	}
	for _, issuer := range []string{good.Issuer, "http://127.0.0.1:9900", "http://localhost:9900", "http://[::1]/realms/x"} {
		c := good
		c.Issuer = issuer
		if _, err := NewOIDC(c, Options{}); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	key := newECKey("k1")
	f.Add(key.sign(nil, object{"iss": "https://a.example", "aud": "b"}))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("e30.e30.AA")
	f.Add("e30.bnVsbA.AA")
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := parseToken(s)
		if err != nil {
			return
		}
		if parsed.claims == nil || parsed.algorithm == "" || len(parsed.signature) == 0 || parsed.signed+"."+encode(parsed.signature) != s {
			t.Fatalf("%q is not the one spelling of what was read", s)
		}
	})
}

func BenchmarkOIDC(b *testing.B) {
	for _, key := range []testKey{newECKey("k1"), {"k2", "RS256", makeRSA()}} {
		provider, clock := newProvider(b, key), &testClock{}
		a := provider.oidc(b, clock, nil)
		ch := NewChain([]Member{NewMember(a.Name(), a)}, NewThrottle(nil))
		c := show(key.sign(nil, provider.claims(clock.now(), nil)))
		if _, err := ch.Authenticate(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		b.Run(key.algorithm+"/cached", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := ch.Authenticate(b.Context(), c); err != nil {
						b.Error(err)
					}
				}
			})
		})
		b.Run(key.algorithm+"/verify", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a.tokens.Drop()
				if _, err := ch.Authenticate(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestNobodyWaitsForASlowProviderInTurn: while the provider's keys or its
// document are slow, who starts to sign in does not wait for them, or for as
// long as they like, and all for the same answer.
func TestNobodyWaitsForASlowProviderInTurn(t *testing.T) {
	key := newECKey("k")
	provider, clock := newProvider(t, key), &testClock{}
	slow := func(path string) (release func()) {
		held := make(chan struct{})
		provider.fail(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, path) {
				<-held
			}
			return false
		})
		return sync.OnceFunc(func() { close(held) })
	}
	a := provider.oidc(t, clock, nil)
	outcome(t, a, key.sign(nil, provider.claims(clock.now(), nil)), nil)

	release := slow("/jwks")
	defer release()
	fetching := make(chan error, 1)
	go func() {
		_, err := a.source.fetch(context.Background())
		fetching <- err
	}()
	for provider.fetches.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	if err := a.Reachable(t.Context()); err != nil || time.Since(began) > time.Second {
		t.Errorf("the document is there, and it took %s: %v", time.Since(began), err)
	}
	release()
	if err := <-fetching; err != nil {
		t.Error(err)
	}

	release = slow("/.well-known")
	defer release()
	clock.advance(2 * discoveryAge)
	before := provider.discoveries.Load()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			began := time.Now()
			if err := a.Reachable(ctx); !errors.Is(err, ErrUnavailable) || time.Since(began) > 2*time.Second {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
		})
	}
	group.Wait()
	if n := provider.discoveries.Load() - before; n != 1 {
		t.Errorf("%d questions", n)
	}
	release()
	if err := a.Reachable(t.Context()); err != nil {
		t.Error(err)
	}
}
