package authn

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// testKeys is a KeySource with one ES256 and one EdDSA key.
type testKeys struct {
	private    *ecdsa.PrivateKey
	edwards    ed25519.PrivateKey
	keys       map[string]VerificationKey
	generation atomic.Uint64
	asked      atomic.Int64
}

func newTestKeys(t testing.TB) *testKeys {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &testKeys{private: private, edwards: edwards, keys: map[string]VerificationKey{
		"k1": {Method: jwt.SigningMethodES256, Public: &private.PublicKey},
		"k2": {Method: jwt.SigningMethodEdDSA, Public: public},
	}}
}

func (k *testKeys) VerificationKey(_ context.Context, id string) (VerificationKey, bool) {
	k.asked.Add(1)
	key, ok := k.keys[id]
	return key, ok
}

func (k *testKeys) Generation() uint64 { return k.generation.Load() }

var testNow = time.Unix(1_800_000_000, 0)

func segment(t testing.TB, v any) string {
	t.Helper()
	raw, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		raw = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(raw))
}

// sign makes a token of a header and claims, which are values or raw JSON.
func (k *testKeys) sign(t testing.TB, header, claims any) string {
	t.Helper()
	return k.signWith(t, jwt.SigningMethodES256, k.private, header, claims)
}

func (k *testKeys) signWith(t testing.TB, m jwt.SigningMethod, key, header, claims any) string {
	t.Helper()
	signed := segment(t, header) + "." + segment(t, claims)
	signature, err := m.Sign(signed, key)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func testHeader() map[string]any { return map[string]any{"alg": "ES256", "kid": "k1", "typ": "JWT"} }

func testClaims() map[string]any {
	return map[string]any{
		"iss": "https://registry.test", "sub": "alice", "aud": "registry.test",
		"exp": testNow.Unix() + 300, "nbf": testNow.Unix() - 60, "iat": testNow.Unix(), "jti": "id1",
		"access": []any{map[string]any{"type": "repository", "name": "team/app", "actions": []string{"pull"}}},
		"principal": map[string]any{
			"kind": "user", "name": "alice", "by": "oidc", "with": "id_token", "id": "x",
			"groups": []string{"team"}, "claims": map[string]any{"Org": "a", "org": "b"},
		},
	}
}

// with returns testClaims with some replaced; nil removes.
func with(base map[string]any, pairs ...any) map[string]any {
	for i := 0; i < len(pairs); i += 2 {
		if name := pairs[i].(string); pairs[i+1] == nil {
			delete(base, name)
		} else {
			base[name] = pairs[i+1]
		}
	}
	return base
}

func newTestRegistryToken(t testing.TB, k *testKeys, change func(*RegistryTokenConfig)) *RegistryToken {
	t.Helper()
	cfg := RegistryTokenConfig{
		Issuer: "https://registry.test", Service: "registry.test", Aliases: []string{"old.test"},
		Keys: k, CacheSize: 1024, Now: func() time.Time { return testNow },
	}
	if change != nil {
		change(&cfg)
	}
	rt, err := NewRegistryToken(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func bearer(token string) *Credential { return &Credential{Scheme: SchemeBearer, Secret: token} }

func TestRegistryTokenPrincipal(t *testing.T) {
	k := newTestKeys(t)
	rt := newTestRegistryToken(t, k, nil)
	p, err := rt.Authenticate(t.Context(), bearer(k.sign(t, testHeader(), testClaims())))
	if err != nil {
		t.Fatal(err)
	}
	want := &Principal{
		Kind: KindUser, Name: "alice", Groups: []string{"team"}, Claims: map[string]any{"Org": "a", "org": "b"},
		Authenticator: "oidc", Credential: CredentialRegistryToken, CredentialID: "id1",
		Origin: "id_token", OriginID: "x",
		Issued: testNow, Expires: testNow.Add(300 * time.Second),
		Limits: []Limit{{Type: "repository", Name: "team/app", Actions: []string{"pull"}}},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
}

func TestRegistryTokenAccepts(t *testing.T) {
	k := newTestKeys(t)
	anonymous := map[string]any{"kind": "anonymous"}
	for name, token := range map[string]string{
		"expired within leeway":   k.sign(t, testHeader(), with(testClaims(), "exp", testNow.Unix()-50)),
		"nbf within leeway":       k.sign(t, testHeader(), with(testClaims(), "nbf", testNow.Unix()+50)),
		"alias as audience":       k.sign(t, testHeader(), with(testClaims(), "aud", "old.test")),
		"empty access":            k.sign(t, testHeader(), with(testClaims(), "access", []any{})),
		"anonymous":               k.sign(t, testHeader(), with(testClaims(), "sub", "", "principal", anonymous)),
		"catalog":                 k.sign(t, testHeader(), with(testClaims(), "access", []any{map[string]any{"type": "registry", "name": "catalog", "actions": []string{"*"}}})),
		"certificate is not read": k.sign(t, with(testHeader(), "x5c", []string{"bm9uc2Vuc2U="}), testClaims()),
		"EdDSA":                   k.signWith(t, jwt.SigningMethodEdDSA, k.edwards, with(testHeader(), "alg", "EdDSA", "kid", "k2"), testClaims()),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newTestRegistryToken(t, k, nil).Authenticate(t.Context(), bearer(token))
			if err != nil {
				t.Fatal(err)
			}
			if p.Limits == nil {
				t.Error("limits are nil: no bound at all")
			}
			if p.Authenticator == "" {
				t.Error("nobody vouches for the principal")
			}
		})
	}
}

func TestRegistryTokenRefuses(t *testing.T) {
	k := newTestKeys(t)
	good := k.sign(t, testHeader(), testClaims())
	dot := strings.LastIndexByte(good, '.')
	head, payload, _ := strings.Cut(good[:dot], ".")
	der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	stranger := newTestKeys(t)
	access := func(members ...any) map[string]any {
		return with(testClaims(), "access", []any{with(map[string]any{"type": "repository", "name": "team/app", "actions": []string{"pull"}}, members...)})
	}
	hs256 := with(testHeader(), "alg", "HS256")
	raw := func(claims map[string]any) string { b, _ := json.Marshal(claims); return string(b) }
	header := func(members ...any) string { return k.sign(t, with(testHeader(), members...), testClaims()) }
	claims := func(members ...any) string { return k.sign(t, testHeader(), with(testClaims(), members...)) }
	der2, err := k.private.Sign(rand.Reader, make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString

	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"none":                       {segment(t, with(testHeader(), "alg", "none")) + "." + payload + ".", ErrInvalid},
		"none, with a signature":     {segment(t, with(testHeader(), "alg", "none")) + "." + payload + ".AA", ErrInvalid},
		"HS256 with the public PEM":  {k.signWith(t, jwt.SigningMethodHS256, text, hs256, testClaims()), ErrInvalid},
		"HS256 with the public DER":  {k.signWith(t, jwt.SigningMethodHS256, der, hs256, testClaims()), ErrInvalid},
		"EdDSA key under ES256 kid":  {k.signWith(t, jwt.SigningMethodEdDSA, k.edwards, with(testHeader(), "alg", "EdDSA"), testClaims()), ErrInvalid},
		"foreign key":                {stranger.sign(t, testHeader(), testClaims()), ErrInvalid},
		"jku":                        {header("jku", "https://collab.test/jwks"), ErrInvalid},
		"x5u":                        {header("x5u", "https://collab.test/cert"), ErrInvalid},
		"jwk":                        {header("jwk", map[string]any{"kty": "EC"}), ErrInvalid},
		"kid is a path":              {header("kid", "../../../../dev/null"), ErrInvalid},
		"kid with NUL":               {header("kid", "k1\x00"), ErrInvalid},
		"kid is a number":            {header("kid", 1), ErrInvalid},
		"kid missing":                {header("kid", nil), ErrInvalid},
		"crit":                       {header("crit", []string{"exp"}), ErrInvalid},
		"b64 false":                  {header("b64", false), ErrInvalid},
		"zip":                        {header("zip", "DEF"), ErrInvalid},
		"typ at+jwt":                 {header("typ", "at+jwt"), ErrInvalid},
		"typ missing":                {header("typ", nil), ErrInvalid},
		"alg twice":                  {k.sign(t, `{"alg":"ES256","alg":"ES256","kid":"k1","typ":"JWT"}`, testClaims()), ErrInvalid},
		"header with a tail":         {k.sign(t, `{"alg":"ES256","kid":"k1","typ":"JWT"}{}`, testClaims()), ErrInvalid},
		"exp missing":                {claims("exp", nil), ErrInvalid},
		"exp is text":                {claims("exp", "9999999999"), ErrInvalid},
		"exp is a fraction":          {claims("exp", 1_900_000_000.5), ErrInvalid},
		"exp is negative":            {claims("exp", -1), ErrInvalid},
		"expired":                    {claims("exp", testNow.Unix()-61), ErrExpired},
		"nbf missing":                {claims("nbf", nil), ErrInvalid},
		"nbf in the future":          {claims("nbf", testNow.Unix()+70), ErrInvalid},
		"iat missing":                {claims("iat", nil), ErrInvalid},
		"iat in the future":          {claims("iat", testNow.Unix()+24*3600), ErrInvalid},
		"iss missing":                {claims("iss", nil), ErrNotMine},
		"iss of another":             {claims("iss", "https://sso.test"), ErrNotMine},
		"iss is a list":              {claims("iss", []string{"https://registry.test"}), ErrNotMine},
		"aud missing":                {claims("aud", nil), ErrInvalid},
		"aud of another":             {claims("aud", "other.test"), ErrInvalid},
		"aud empty list":             {claims("aud", []string{}), ErrInvalid},
		"aud list":                   {claims("aud", []string{"registry.test"}), ErrInvalid},
		"jti missing":                {claims("jti", nil), ErrInvalid},
		"access missing":             {claims("access", nil), ErrInvalid},
		"access is an object":        {claims("access", map[string]any{}), ErrInvalid},
		"access is null":             {k.sign(t, testHeader(), strings.Replace(raw(with(testClaims(), "access", "X")), `"X"`, "null", 1)), ErrInvalid},
		"access name *":              {k.sign(t, testHeader(), access("name", "*")), ErrInvalid},
		"access name **":             {k.sign(t, testHeader(), access("name", "team/**")), ErrInvalid},
		"access name is a regexp":    {k.sign(t, testHeader(), access("name", ".*")), ErrInvalid},
		"access name is a prefix":    {k.sign(t, testHeader(), access("name", "team/")), ErrInvalid},
		"access name {user}":         {k.sign(t, testHeader(), access("name", "{user}/app")), ErrInvalid},
		"access name empty":          {k.sign(t, testHeader(), access("name", "")), ErrInvalid},
		"access action *":            {k.sign(t, testHeader(), access("actions", []string{"*"})), ErrInvalid},
		"access action unknown":      {k.sign(t, testHeader(), access("actions", []string{"manage"})), ErrInvalid},
		"access actions are text":    {k.sign(t, testHeader(), access("actions", "pull")), ErrInvalid},
		"access type unknown":        {k.sign(t, testHeader(), access("type", "Repository")), ErrInvalid},
		"principal missing":          {claims("principal", nil), ErrInvalid},
		"principal without a name":   {claims("principal", map[string]any{"kind": "user"}), ErrInvalid},
		"principal of unknown kind":  {claims("principal", map[string]any{"kind": "god", "name": "x"}), ErrInvalid},
		"another subject":            {claims("sub", "bob"), ErrInvalid},
		"a robot's subject":          {claims("sub", "robot:alice"), ErrInvalid},
		"no subject":                 {claims("sub", ""), ErrInvalid},
		"a user with a robot's name": {k.sign(t, testHeader(), with(testClaims(), "sub", "robot:ci", "principal", map[string]any{"kind": "user", "name": "robot:ci"})), ErrInvalid},
		"named anonymous":            {claims("principal", map[string]any{"kind": "anonymous", "name": "x"}), ErrInvalid},
		"claim twice":                {k.sign(t, testHeader(), strings.Replace(raw(testClaims()), `{"access"`, `{"exp":1,"access"`, 1)), ErrInvalid},
		"claim in two cases":         {k.sign(t, testHeader(), with(testClaims(), "EXP", testNow.Unix()+9999)), ErrInvalid},
		"claims with a tail":         {k.sign(t, testHeader(), raw(testClaims())+"{}"), ErrNotMine},
		"claims are deep":            {claims("x", json.RawMessage(strings.Repeat("[", 60)+strings.Repeat("]", 60))), ErrInvalid},
		"claims are not UTF-8":       {k.sign(t, testHeader(), strings.Replace(raw(testClaims()), "alice", "al\xffce", 1)), ErrInvalid},
		"signature truncated":        {good[:len(good)-3], ErrInvalid},
		"signature missing":          {good[:dot+1], ErrInvalid},
		"signature all zero":         {good[:dot+1] + encode(make([]byte, 64)), ErrInvalid},
		"signature in DER":           {good[:dot+1] + encode(der2), ErrInvalid},
		"last character malleable":   {good[:len(good)-1] + string(nextBase64(good[len(good)-1])), ErrInvalid},
		"padded":                     {good + "==", ErrInvalid},
		"CRLF at the end":            {good + "\r\n", ErrInvalid},
		"line break inside":          {good[:dot-4] + "\n" + good[dot-4:], ErrNotMine},
		"JSON serialization":         {`{"payload":"` + payload + `","protected":"` + head + `","signature":"` + good[dot+1:] + `"}`, ErrNotMine},
		"four parts":                 {good + ".x", ErrNotMine},
		"five parts, as a JWE":       {good + ".x.y", ErrNotMine},
		"dots":                       {strings.Repeat(".", 8000), ErrNotMine},
		"too large":                  {good[:dot+1] + strings.Repeat("A", MaxRegistryToken), ErrNotMine},
		"empty":                      {"", ErrNotMine},
		"a session value":            {"crase_0123456789ab_secret", ErrNotMine},
		"expired and badly signed":   {stranger.sign(t, testHeader(), with(testClaims(), "exp", int64(1))), ErrInvalid},
		"payload of another token":   {head + "." + segment(t, with(testClaims(), "sub", "x")) + good[dot:], ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			rt := newTestRegistryToken(t, k, nil)
			for range 2 { // a refusal is not cached as anything else
				p, err := rt.Authenticate(t.Context(), bearer(c.token))
				if !errors.Is(err, c.want) || p != nil {
					t.Errorf("got %v, %v, want %v", p, err, c.want)
				}
				if err != nil && len(c.token) > 40 && strings.Contains(err.Error(), c.token[:40]) {
					t.Error("the error quotes the token")
				}
			}
		})
	}
}

// nextBase64 returns a character that decodes to the same significant bits as
// c where the last two bits of a segment are not significant.
func nextBase64(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

func TestRegistryTokenAsPassword(t *testing.T) {
	k := newTestKeys(t)
	token := k.sign(t, testHeader(), testClaims())
	_, err := newTestRegistryToken(t, k, nil).Authenticate(t.Context(), &Credential{Scheme: SchemeBasic, Username: "alice", Secret: token})
	if !errors.Is(err, ErrNotMine) {
		t.Errorf("got %v, want ErrNotMine", err)
	}
}

func TestRegistryTokenCache(t *testing.T) {
	k := newTestKeys(t)
	now := testNow
	rechecked, disabled := 0, false
	rt := newTestRegistryToken(t, k, func(c *RegistryTokenConfig) {
		c.Now = func() time.Time { return now }
		c.Recheck = func(*Principal, *Credential) error {
			if rechecked++; disabled {
				return ErrDisabled
			}
			return nil
		}
	})
	c := bearer(k.sign(t, testHeader(), testClaims()))
	use := func(want error) {
		t.Helper()
		if _, err := rt.Authenticate(t.Context(), c); !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	use(nil)
	use(nil)
	if got := k.asked.Load(); got != 1 {
		t.Errorf("verified %d times, want once", got)
	}
	if rechecked != 2 {
		t.Errorf("rechecked %d times, want with each use", rechecked)
	}
	disabled = true
	use(ErrDisabled)
	disabled = false
	use(nil)

	now = testNow.Add(360 * time.Second) // exp and its leeway
	use(ErrExpired)
	now = testNow

	use(nil)
	delete(k.keys, "k1")
	use(nil) // the ring has not said that anything changed
	k.generation.Add(1)
	use(ErrInvalid)
}

func TestRegistryTokenOfRetiredKey(t *testing.T) {
	k := newTestKeys(t)
	now := testNow
	rt := newTestRegistryToken(t, k, func(c *RegistryTokenConfig) { c.Now = func() time.Time { return now } })
	key := k.keys["k1"]
	key.Until = testNow.Add(10 * time.Second)
	k.keys["k1"] = key
	c := bearer(k.sign(t, testHeader(), testClaims()))
	if _, err := rt.Authenticate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	now = testNow.Add(10 * time.Second)
	delete(k.keys, "k1")
	if _, err := rt.Authenticate(t.Context(), c); !errors.Is(err, ErrInvalid) {
		t.Errorf("cached beyond the end of its key: %v", err)
	}
}

func TestRegistryTokenConfig(t *testing.T) {
	k := newTestKeys(t)
	for name, cfg := range map[string]RegistryTokenConfig{
		"issuer":  {Service: "s", Keys: k},
		"service": {Issuer: "i", Keys: k},
		"keys":    {Issuer: "i", Service: "s"},
	} {
		if _, err := NewRegistryToken(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestPlainName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "team/app": true, "a-b_c.d/e": true, "a__b": true, "0": true,
		"": false, "/a": false, "a/": false, "a//b": false, "A": false, "a b": false, "-a": false,
		"*": false, "a/*": false, "{user}": false, "a:b": false, "é": false, strings.Repeat("a", 256): false,
	} {
		if got := plainName(name); got != want {
			t.Errorf("plainName(%q) = %t", name, got)
		}
	}
}

// FuzzRegistryToken looks for tokens that we did not sign and that pass, and
// for panics.
func FuzzRegistryToken(f *testing.F) {
	k := newTestKeys(f)
	good := k.sign(f, testHeader(), testClaims())
	f.Add(good)
	f.Add("a.b.c")
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add(segment(f, testHeader()) + "." + segment(f, testClaims()) + ".AAAA")
	rt := newTestRegistryToken(f, k, nil)
	f.Fuzz(func(t *testing.T, token string) {
		p, err := rt.Authenticate(t.Context(), bearer(token))
		if (p == nil) == (err == nil) {
			t.Fatalf("principal %v with error %v", p, err)
		}
		if err == nil && token != good {
			t.Fatalf("accepted %q", token)
		}
	})
}

func BenchmarkRegistryTokenCached(b *testing.B) {
	k := newTestKeys(b)
	rt := newTestRegistryToken(b, k, func(c *RegistryTokenConfig) {
		c.Now = time.Now
		c.Recheck = func(*Principal, *Credential) error { return nil }
	})
	now := time.Now().Unix()
	c := bearer(k.sign(b, testHeader(), with(testClaims(), "exp", now+3600, "nbf", now-60, "iat", now)))
	b.ReportMetric(float64(len(c.Secret)), "token-bytes")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.Authenticate(context.Background(), c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRegistryTokenVerify(b *testing.B) {
	k := newTestKeys(b)
	rt := newTestRegistryToken(b, k, nil)
	token := k.sign(b, testHeader(), testClaims())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.verify(context.Background(), token, testNow); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRegistryTokenForeign is what somebody else's token costs before the
// next authenticator is asked.
func BenchmarkRegistryTokenForeign(b *testing.B) {
	k := newTestKeys(b)
	rt := newTestRegistryToken(b, k, nil)
	c := bearer(k.sign(b, testHeader(), with(testClaims(), "iss", "https://sso.test/realms/corp")))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.Authenticate(context.Background(), c); !errors.Is(err, ErrNotMine) {
			b.Fatal(err)
		}
	}
}
