package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// eventually fails the test unless ok becomes true soon.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	old, young := newECKey("old"), newECKey("young")
	provider, clock := newProvider(t, old), &testClock{}
	a := provider.oidc(t, clock, nil)
	before := old.sign(nil, provider.claims(clock.now(), nil))
	outcome(t, a, before, nil)

	provider.publish(old, young)
	outcome(t, a, young.sign(nil, provider.claims(clock.now(), nil)), nil)
	if n := provider.fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want one for the new key", n-1)
	}
	generation := a.tokens.Generation()
	outcome(t, a, before, nil)

	// A set that has shrunk is obeyed at once, also for tokens seen before.
	provider.publish(young)
	clock.advance(missInterval)
	outcome(t, a, newECKey("unknown").sign(nil, provider.claims(clock.now(), nil)), ErrInvalid)
	outcome(t, a, before, ErrInvalid)
	if a.tokens.Generation() == generation {
		t.Error("tokens signed with a withdrawn key are still remembered")
	}
}

// A withdrawn key is refused after the maximum age at the latest, although
// only tokens arrive that are known to be good.
func TestKeysWithdrawn(t *testing.T) {
	old, young := newECKey("old"), newECKey("young")
	provider, clock := newProvider(t, old), &testClock{}
	a := provider.oidc(t, clock, nil)
	token := old.sign(nil, provider.claims(clock.now(), object{"exp": clock.now().Add(time.Hour).Unix()}))
	outcome(t, a, token, nil)
	provider.publish(young)
	clock.advance(7 * time.Minute)
	outcome(t, a, token, nil)
	if n := provider.fetches.Load(); n != 1 {
		t.Fatalf("%d fetches of young keys", n)
	}
	clock.advance(3 * time.Minute)
	outcome(t, a, token, ErrInvalid)

	// With steady use the keys are renewed before, and nobody waits.
	provider.publish(young, old)
	clock.advance(missMemory + time.Second)
	outcome(t, a, token, nil)
	provider.publish(young)
	clock.advance(8*time.Minute + time.Second)
	outcome(t, a, token, nil)
	eventually(t, "renewal in the background", func() bool {
		_, err := a.Authenticate(t.Context(), show(token))
		return errors.Is(err, ErrInvalid)
	})
}

func TestKeysFlood(t *testing.T) {
	key, evil := newECKey("k1"), newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	a := provider.oidc(t, clock, nil)
	good := key.sign(nil, provider.claims(clock.now(), nil))
	outcome(t, a, good, nil)
	for interval := range 3 {
		before := provider.fetches.Load()
		for i := range 300 {
			id := "k1" // known, with a wrong signature
			if i%2 == 0 {
				id = fmt.Sprintf("unknown-%d-%d", interval, i)
			}
			if _, err := a.Authenticate(t.Context(), show(evil.sign(object{"kid": id}, provider.claims(clock.now(), nil)))); !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
		}
		if n := provider.fetches.Load() - before; n != 1 {
			t.Errorf("interval %d: %d fetches, want 1", interval, n)
		}
		clock.advance(missInterval)
	}
	// The same unknown key again causes none for a while, and neither do
	// tokens that would be refused anyway.
	before := provider.fetches.Load()
	outcome(t, a, evil.sign(object{"kid": "unknown-2-0"}, provider.claims(clock.now(), nil)), ErrInvalid)
	outcome(t, a, evil.sign(object{"kid": "new"}, provider.claims(clock.now(), object{"aud": "other"})), ErrInvalid)
	outcome(t, a, evil.sign(object{"kid": "new"}, provider.claims(clock.now().Add(-time.Hour), nil)), ErrInvalid)
	if n := provider.fetches.Load() - before; n != 0 {
		t.Errorf("%d fetches for nothing", n)
	}
	outcome(t, a, good, nil)
}

func TestKeysOneFetchAtATime(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	a := provider.oidc(t, clock, nil)
	if provider.discoveries.Load() != 0 {
		t.Fatal("the network is touched before there is need")
	}
	token := key.sign(nil, provider.claims(clock.now(), nil))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := a.Authenticate(context.Background(), show(token)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if d, f := provider.discoveries.Load(), provider.fetches.Load(); d != 1 || f != 1 {
		t.Errorf("%d discoveries, %d fetches", d, f)
	}
}

func TestProviderDownAtStart(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	provider.away()
	a := provider.oidc(t, clock, nil)
	token := key.sign(nil, provider.claims(clock.now(), nil))
	outcome(t, a, token, ErrUnavailable)
	outcome(t, a, newECKey("x").sign(nil, provider.claims(clock.now(), nil)), ErrUnavailable)
	for range 100 {
		outcome(t, a, token, ErrUnavailable)
	}
	if n := provider.discoveries.Load(); n != 1 {
		t.Errorf("%d attempts without a pause", n)
	}
	for range 10 { // the pause grows, but has a limit
		clock.advance(retryMost)
		outcome(t, a, token, ErrUnavailable)
	}
	provider.fail(nil)
	clock.advance(retryMost)
	outcome(t, a, key.sign(nil, provider.claims(clock.now(), nil)), nil)
}

func TestStartTriesUntilItSucceeds(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	provider.away()
	a := provider.oidc(t, clock, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a.Start(ctx)
	eventually(t, "first attempt", func() bool { return provider.discoveries.Load() == 1 })
	provider.fail(nil)
	eventually(t, "keys", func() bool { return a.keys.current.Load() != nil })

	// A start that is called off stops.
	provider.away()
	b := provider.oidc(t, clock, nil)
	ctx, cancel = context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { b.keys.keepTrying(ctx); close(done) }()
	cancel()
	<-done
}

func TestProviderGoesAway(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	a := provider.oidc(t, clock, nil)
	token := func() string {
		return key.sign(nil, provider.claims(clock.now(), object{"exp": clock.now().Add(24 * time.Hour).Unix()}))
	}
	seen := token()
	outcome(t, a, seen, nil)
	provider.away()
	for range 6 {
		clock.advance(11 * time.Minute)
		outcome(t, a, seen, nil)
		outcome(t, a, token(), nil)
		outcome(t, a, newECKey("k1").sign(nil, provider.claims(clock.now(), nil)), ErrInvalid)
		outcome(t, a, newECKey("new").sign(nil, provider.claims(clock.now(), nil)), ErrUnavailable)
	}
	clock.advance(5 * time.Minute) // more than an hour and ten minutes
	outcome(t, a, seen, ErrUnavailable)
	outcome(t, a, token(), ErrUnavailable)
	provider.fail(nil)
	clock.advance(retryMost)
	outcome(t, a, seen, nil)
}

// A provider that publishes no key at all has an accident; nobody is locked
// out for it before the grace period ends.
func TestKeysEmptySet(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	a := provider.oidc(t, clock, nil)
	token := key.sign(nil, provider.claims(clock.now(), object{"exp": clock.now().Add(24 * time.Hour).Unix()}))
	outcome(t, a, token, nil)
	provider.publish()
	clock.advance(15 * time.Minute)
	outcome(t, a, token, nil)
	clock.advance(time.Hour)
	outcome(t, a, token, ErrUnavailable)
}

func TestKeysKinds(t *testing.T) {
	key, rsaKey := newECKey("k1"), testKey{"k2", "RS256", makeRSA()}
	with := func(k testKey, change object) object {
		jwk := k.jwk()
		for name, v := range change {
			if jwk[name] = v; v == nil {
				delete(jwk, name)
			}
		}
		return jwk
	}
	huge, small := make([]byte, 2048), make([]byte, 128)
	huge[0], huge[2047], small[0], small[127] = 0x80, 1, 0x80, 1
	junk := []any{
		object{"kty": "oct", "kid": "oct", "k": encode([]byte("secret")), "alg": "HS256"},
		object{"kty": "RSA", "kid": "huge", "n": encode(huge), "e": "AQAB"},
		object{"kty": "RSA", "kid": "small", "n": encode(small), "e": "AQAB"},
		object{"kty": "RSA", "kid": "no exponent", "n": encode(huge[:256])},
		with(rsaKey, object{"kid": "e=1", "e": "AQ"}),
		with(rsaKey, object{"kid": "even", "e": "Ag"}),
		object{"kty": "EC", "kid": "off the curve", "crv": "P-256", "x": encode(make([]byte, 32)), "y": encode(make([]byte, 32))},
		object{"kty": "EC", "kid": "other curve", "crv": "secp256k1", "x": encode(make([]byte, 32)), "y": encode(make([]byte, 32))},
		object{"kty": "OKP", "kid": "Ed448", "crv": "Ed448", "x": encode(make([]byte, 57))},
		object{"kty": 7},
		"text", nil,
		[]any{},
		with(key, object{"kid": "enc", "use": "enc"}),
		with(key, object{"kid": "ops", "key_ops": []string{"encrypt"}}),
	}
	provider, clock := newProvider(t, append(junk, key, rsaKey)...), &testClock{}
	a := provider.oidc(t, clock, nil)
	claims := provider.claims(clock.now(), nil)
	outcome(t, a, key.sign(nil, claims), nil)
	outcome(t, a, rsaKey.sign(nil, claims), nil)
	outcome(t, a, key.sign(object{"kid": nil}, claims), nil)
	outcome(t, a, key.sign(object{"kid": "enc"}, claims), ErrInvalid)
	outcome(t, a, key.sign(object{"kid": "ops"}, claims), ErrInvalid)

	other := newECKey("k3")
	cases := []struct {
		name  string
		keys  []any
		token string
		err   error
	}{
		{"no kid, two keys", []any{key, other}, key.sign(object{"kid": nil}, claims), ErrInvalid},
		{"no kid, one of this type", []any{key, rsaKey}, key.sign(object{"kid": nil}, claims), nil},
		{"no kid on either side", []any{with(key, object{"kid": nil})}, key.sign(object{"kid": nil}, claims), nil},
		{"one kid, two keys", []any{other.jwk(), with(key, object{"kid": "k3"})}, key.sign(object{"kid": "k3"}, claims), nil},
		{"key for another algorithm", []any{with(rsaKey, object{"alg": "RS512"})}, rsaKey.sign(nil, claims), ErrInvalid},
		{"key without algorithm", []any{with(rsaKey, object{"alg": nil, "use": nil})}, rsaKey.sign(nil, claims), nil},
		{"junk only", junk, key.sign(nil, claims), ErrUnavailable},
	}
	many := make([]any, 1000)
	for i := range many {
		many[i] = key
	}
	cases = append(cases, struct {
		name  string
		keys  []any
		token string
		err   error
	}{"a thousand", many, key.sign(nil, claims), ErrUnavailable})
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			provider.publish(test.keys...)
			outcome(t, provider.oidc(t, clock, nil), test.token, test.err)
		})
	}
}

func TestProviderHostile(t *testing.T) {
	key := newECKey("k1")
	var hits atomic.Int32
	internal := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer internal.Close()
	redirect := func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, internal.URL, http.StatusFound)
		return true
	}
	flood := func(w http.ResponseWriter, r *http.Request) bool {
		chunk := make([]byte, 1<<16)
		for i := range chunk {
			chunk[i] = ' '
		}
		for range 1 << 14 { // 1 GiB
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		return true
	}
	text := func(body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	onlyKeys := func(f func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Path == "/jwks" && f(w, r) }
	}
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"discovery redirects":     redirect,
		"discovery floods":        flood,
		"discovery is garbage":    text("<html>"),
		"discovery, other issuer": text(`{"issuer":"https://other.example","jwks_uri":"https://other.example/jwks"}`),
		"keys redirect":           onlyKeys(redirect),
		"keys flood":              onlyKeys(flood),
		"keys are garbage":        onlyKeys(text("<html>")),
		"keys are null":           onlyKeys(text("null")),
		"keys are text":           onlyKeys(text(`{"keys":"a"}`)),
	} {
		t.Run(name, func(t *testing.T) {
			provider, clock := newProvider(t, key), &testClock{}
			provider.fail(fault)
			a := provider.oidc(t, clock, nil)
			start := time.Now()
			outcome(t, a, key.sign(nil, provider.claims(clock.now(), nil)), ErrUnavailable)
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
	for _, uri := range []string{"file:///etc/passwd", "http://192.0.2.1/jwks", "/jwks", "https://u:p@example.com/jwks"} {
		t.Run("jwks_uri "+uri, func(t *testing.T) {
			provider, clock := newProvider(t, key), &testClock{}
			provider.fail(text(fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, provider.URL, uri)))
			start := time.Now()
			outcome(t, provider.oidc(t, clock, nil), key.sign(nil, provider.claims(clock.now(), nil)), ErrUnavailable)
			if d := time.Since(start); d > time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
	if hits.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// The first request waits for a provider that hangs, the others do not.
func TestProviderHangs(t *testing.T) {
	key := newECKey("k1")
	provider, clock := newProvider(t, key), &testClock{}
	release := make(chan struct{})
	provider.fail(func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return false
	})
	a := provider.oidc(t, clock, nil)
	token := key.sign(nil, provider.claims(clock.now(), nil))

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := a.Authenticate(ctx, show(token)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("client that hangs up: %v", err)
	}
	start := time.Now()
	outcome(t, a, token, ErrUnavailable)
	if d := time.Since(start); d < keyWait/2 || d > 2*keyWait {
		t.Errorf("the first waits %s", d)
	}
	start = time.Now()
	for range 100 {
		outcome(t, a, token, ErrUnavailable)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("the others wait, %s in all", d)
	}
	close(release)
	eventually(t, "keys", func() bool { return a.keys.current.Load() != nil })
	outcome(t, a, token, nil)
}
