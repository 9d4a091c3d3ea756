package keys

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

var start = time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)

// clock is a clock that tests set.
type clock struct{ at time.Time }

func newClock() *clock                   { return &clock{at: start} }
func (c *clock) now() time.Time          { return c.at }
func (c *clock) pass(d time.Duration)    { c.at = c.at.Add(d) }
func (c *clock) cfg() Config             { return Config{Now: c.now} }
func (c *clock) with(a Algorithm) Config { return Config{Now: c.now, Algorithm: a} }

func openRing(t testing.TB, store Store, cfg Config) *Ring {
	t.Helper()
	r, err := Open(context.Background(), store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sign returns a token and the id of the key that signed it.
func sign(t testing.TB, r *Ring) (token, id string) {
	t.Helper()
	token, err := r.Sign([]byte(`{"sub":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(token, ".")
	var header struct {
		ID string `json:"kid"`
	}
	if err := json.Unmarshal(fromBase64(base64.RawURLEncoding, head), &header); err != nil {
		t.Fatal(err)
	}
	return token, header.ID
}

func published(t testing.TB, r *Ring) (ids []string) {
	t.Helper()
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		ids = append(ids, k.ID)
	}
	return ids
}

func accepts(r *Ring, id string) bool {
	_, ok := r.VerificationKey(context.Background(), id)
	return ok
}

func TestKeyRingSignsWithEveryAlgorithm(t *testing.T) {
	for _, algorithm := range []Algorithm{ES256, RS256, EdDSA} {
		for _, format := range []IDFormat{Thumbprint, Libtrust} {
			t.Run(string(algorithm)+" "+string(format), func(t *testing.T) {
				r := openRing(t, NewMemoryStore(), Config{Algorithm: algorithm, KeyID: format, X5C: true})
				token, id := sign(t, r)
				key, ok := r.VerificationKey(t.Context(), id)
				if !ok {
					t.Fatalf("key %q is unknown", id)
				}
				dot := strings.LastIndexByte(token, '.')
				if err := key.Method.Verify(token[:dot], fromBase64(base64.RawURLEncoding, token[dot+1:]), key.Public); err != nil {
					t.Error(err)
				}
				if ids := published(t, r); len(ids) != 1 || ids[0] != id {
					t.Errorf("published %q, signs with %q", ids, id)
				}
				checkX5C(t, r, token)
			})
		}
	}
}

func TestKeyRingIsKept(t *testing.T) {
	store, clock := NewMemoryStore(), newClock()
	_, first := sign(t, openRing(t, store, clock.cfg()))
	again := openRing(t, store, clock.cfg())
	if _, id := sign(t, again); id != first {
		t.Errorf("signs with %q after a restart, with %q before", id, first)
	}
	libtrust := clock.cfg()
	libtrust.KeyID = Libtrust
	if r := openRing(t, store, libtrust); !accepts(r, first) {
		t.Error("tokens in circulation die with a change of key_id")
	}
}

func TestKeyRingStartedBySeveral(t *testing.T) {
	store, clock := NewMemoryStore(), newClock()
	ids := make([]string, 8)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			r, err := Open(context.Background(), store, clock.cfg())
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = published(t, r)[0]
		})
	}
	group.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("gateways have keys %q", ids)
			break
		}
	}
}

func TestKeyRingRotation(t *testing.T) {
	store, clock := NewMemoryStore(), newClock()
	r := openRing(t, store, clock.cfg())
	maintain := func() {
		t.Helper()
		if err := r.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, old := sign(t, r)

	clock.pass(DefaultRotateEvery - DefaultPublish - time.Minute)
	if maintain(); len(published(t, r)) != 1 {
		t.Fatal("rotated too early")
	}

	clock.pass(time.Minute)
	maintain()
	ids := published(t, r)
	if len(ids) != 2 {
		t.Fatalf("published %q, want the successor too", ids)
	}
	if _, id := sign(t, r); id != old {
		t.Error("the successor signs before it was published long enough")
	}
	maintain()
	if len(published(t, r)) != 2 {
		t.Error("made another successor")
	}

	clock.pass(DefaultPublish)
	if _, id := sign(t, r); id != ids[1] {
		t.Error("the successor does not take over")
	}
	if !accepts(r, old) {
		t.Error("tokens of the old key are refused at once")
	}

	clock.pass(r.cfg.keep() - time.Second)
	if maintain(); !accepts(r, old) || len(published(t, r)) != 2 {
		t.Error("the old key goes before its last token")
	}
	clock.pass(time.Second)
	if accepts(r, old) {
		t.Error("the old key is accepted for good")
	}
	generation := r.Generation()
	if maintain(); len(published(t, r)) != 1 {
		t.Error("the old key is published for good")
	}
	if r.Generation() == generation {
		t.Error("nobody is told that the key has gone")
	}
}

func TestKeyRingOverdueRotation(t *testing.T) {
	store, clock := NewMemoryStore(), newClock()
	openRing(t, store, clock.cfg())
	clock.pass(3 * DefaultRotateEvery) // switched off for long
	r := openRing(t, store, clock.cfg())
	ids := published(t, r)
	if len(ids) != 2 {
		t.Fatalf("published %q, want a successor", ids)
	}
	if _, id := sign(t, r); id != ids[0] {
		t.Error("signs with a key that nobody can have fetched")
	}
}

func TestKeyRingWithoutRotation(t *testing.T) {
	clock := newClock()
	cfg := clock.cfg()
	cfg.RotateEvery = -1
	r := openRing(t, NewMemoryStore(), cfg)
	clock.pass(100 * DefaultRotateEvery)
	if err := r.Maintain(t.Context()); err != nil || len(published(t, r)) != 1 {
		t.Errorf("rotated: %v", err)
	}
}

func TestKeyRingRotate(t *testing.T) {
	store, clock := NewMemoryStore(), newClock()
	r := openRing(t, store, clock.cfg())
	_, old := sign(t, r)
	for range 2 { // the second one finds a successor waiting
		if err := r.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ids := published(t, r)
	if len(ids) != 2 {
		t.Fatalf("published %q", ids)
	}
	clock.pass(DefaultPublish)
	if _, id := sign(t, r); id == old {
		t.Error("the old key goes on signing")
	}
}

func TestKeyRingRevoke(t *testing.T) {
	store, clock := NewMemoryStore(), newClock()
	r, other := openRing(t, store, clock.cfg()), openRing(t, store, clock.cfg())
	_, old := sign(t, r)
	if err := r.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, id := sign(t, r); id == old || accepts(r, old) {
		t.Error("the revoked key is in use")
	}
	if err := other.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if accepts(other, old) {
		t.Error("the revoked key is in use on another gateway")
	}
}

func TestKeyRingUnknownID(t *testing.T) {
	store, clock := &countingStore{Store: NewMemoryStore()}, newClock()
	r, other := openRing(t, store, clock.cfg()), openRing(t, store, clock.cfg())
	if err := other.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, id := sign(t, other)
	if !accepts(r, id) {
		t.Error("the key of another gateway is not found")
	}
	before := store.loads
	for range 1000 {
		if accepts(r, "../../../../dev/null") {
			t.Fatal("accepted")
		}
	}
	if store.loads != before {
		t.Errorf("%d looks into the store within the interval", store.loads-before)
	}
	clock.pass(missInterval)
	accepts(r, "a\x00")
	accepts(r, "b")
	if store.loads != before+1 {
		t.Errorf("%d looks into the store after the interval, want 1", store.loads-before)
	}
}

func TestKeyRingChangeOfAlgorithm(t *testing.T) {
	store, clock := NewMemoryStore(), newClock()
	curve := openRing(t, store, clock.cfg())
	_, old := sign(t, curve)
	edwards := openRing(t, store, clock.with(EdDSA))
	token, id := sign(t, edwards)
	if id == old || !accepts(edwards, old) {
		t.Error("want a new key beside the old one")
	}
	if !strings.HasPrefix(string(fromBase64(base64.RawURLEncoding, strings.Split(token, ".")[0])), `{"alg":"EdDSA"`) {
		t.Error("signs with the old algorithm")
	}
	// A gateway that has not been told yet goes on as before.
	if err := curve.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, id := sign(t, curve); id != old || len(published(t, curve)) != 2 {
		t.Error("two gateways fight over the algorithm")
	}
	// Later, nobody rotates the old key any more.
	clock.pass(DefaultRotateEvery + time.Minute)
	if err := edwards.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.pass(edwards.cfg.keep())
	if accepts(edwards, old) {
		t.Error("the key of the old algorithm stays for good")
	}
}

func TestKeyRingClockBehindMaker(t *testing.T) {
	store, clock := NewMemoryStore(), newClock()
	clock.pass(10 * time.Second)
	openRing(t, store, clock.cfg())
	clock.pass(-10 * time.Second)
	sign(t, openRing(t, store, clock.cfg()))
}

func TestKeyRingRefusesDocuments(t *testing.T) {
	clock, store := newClock(), NewMemoryStore()
	openRing(t, store, clock.cfg())
	good, _ := store.Load(t.Context())
	other, err := newKeyDocument(ES256, start, start)
	if err != nil {
		t.Fatal(err)
	}
	change := func(edit func(*document)) string {
		doc, err := parseRing(good)
		if err != nil {
			t.Fatal(err)
		}
		edit(doc)
		raw, err := doc.encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for name, c := range map[string]struct{ document, want string }{
		"empty":     {"", "not a JSON document"},
		"truncated": {string(good[:len(good)/2]), "not a JSON document"},
		"not JSON":  {"-----BEGIN PRIVATE KEY-----", "not a JSON document"},
		"newer":     {change(func(d *document) { d.Version = 2 }), "newer version"},
		"older":     {change(func(d *document) { d.Version = 0 }), "format 0 is unknown"},
		"no keys":   {change(func(d *document) { d.Keys = nil }), "holds no key"},
		"no PEM":    {change(func(d *document) { d.Keys[0].PrivateKey = "x" }), "keys[0].private_key: no PEM"},
		"bad PKCS":  {change(func(d *document) { d.Keys[0].PrivateKey = encodePEM(privateKeyBlock, []byte("x")) }), "keys[0].private_key: not a PKCS #8 key"},
		"algorithm": {change(func(d *document) { d.Keys[0].Algorithm = "HS256" }), `not a key for algorithm "HS256"`},
		"mismatch":  {change(func(d *document) { d.Keys[0].Algorithm = RS256 }), `not a key for algorithm "RS256"`},
		"kind":      {change(func(d *document) { d.Keys[0].PrivateKey = d.Keys[0].Certificate }), `want "PRIVATE KEY"`},
		"two PEMs":  {change(func(d *document) { d.Keys[0].PrivateKey += d.Keys[0].PrivateKey }), "text after"},
		"cert":      {change(func(d *document) { d.Keys[0].Certificate = other.Certificate }), "certificate: of another key"},
		"cert junk": {change(func(d *document) { d.Keys[0].Certificate = encodePEM(certificateBlock, []byte("x")) }), "not an X.509"},
		"use_from":  {change(func(d *document) { d.Keys[0].UseFrom = time.Time{} }), "use_from: missing"},
	} {
		t.Run(name, func(t *testing.T) {
			store := NewMemoryStore()
			_ = store.Save(t.Context(), []byte(c.document))
			_, err := Open(t.Context(), store, clock.cfg())
			if !errors.Is(err, ErrRing) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "BEGIN") {
				t.Error("the error shows the document")
			}
			if after, _ := store.Load(t.Context()); !bytes.Equal(after, []byte(c.document)) {
				t.Error("the document was replaced")
			}
		})
	}
}

func TestKeyRingOutlivesItsStore(t *testing.T) {
	store, clock := &countingStore{Store: NewMemoryStore()}, newClock()
	r := openRing(t, store, clock.cfg())
	_, id := sign(t, r)
	store.err = errors.New("the disk is away")
	clock.pass(DefaultRotateEvery)
	if err := r.Maintain(t.Context()); !errors.Is(err, store.err) {
		t.Errorf("got %v", err)
	}
	if err := r.Rotate(t.Context()); !errors.Is(err, store.err) {
		t.Errorf("got %v", err)
	}
	if _, now := sign(t, r); now != id {
		t.Error("another key")
	}
	// A document that vanished is not replaced behind the operator's back.
	store.err, store.Store = nil, NewMemoryStore()
	if err := r.Maintain(t.Context()); err == nil {
		t.Error("nobody is told that the keys have vanished")
	}
	if err := r.Rotate(t.Context()); err == nil {
		t.Error("new keys were stored in place of the vanished ones")
	}
	if _, err := Open(t.Context(), &countingStore{Store: store.Store, err: errors.New("away")}, clock.cfg()); err == nil {
		t.Error("opened without a store")
	}
}

func TestKeyRingRun(t *testing.T) {
	store := NewMemoryStore()
	cfg := Config{Reload: time.Millisecond}
	r, other := openRing(t, store, cfg), openRing(t, store, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	if err := other.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	for want := published(t, other)[0]; published(t, r)[0] != want; {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
}

func TestConfig(t *testing.T) {
	if c, err := (Config{}).withDefaults(); err != nil || c.Algorithm != ES256 || c.KeyID != Thumbprint || c.X5C || c.RotateEvery != 90*24*time.Hour || c.Lifetime != 5*time.Minute {
		t.Errorf("%+v, %v", c, err)
	}
	for name, cfg := range map[string]Config{
		"algorithm":    {Algorithm: "none"},
		"key id":       {KeyID: "sha1"},
		"rotating key": {RotateEvery: time.Hour},
	} {
		if _, err := Open(t.Context(), NewMemoryStore(), cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// countingStore counts loads, and fails when told to.
type countingStore struct {
	Store
	loads int
	err   error
}

func (s *countingStore) Load(ctx context.Context) ([]byte, error) {
	if s.loads++; s.err != nil {
		return nil, s.err
	}
	return s.Store.Load(ctx)
}

var _ authn.KeySource = (*Ring)(nil)

// TestKeyRingGraceOverRotation: what was begun with a token goes on for its
// grace, whether keys are rotated or not; the retired key signs nothing else.
func TestKeyRingGraceOverRotation(t *testing.T) {
	c := newClock()
	r := openRing(t, NewMemoryStore(), Config{Now: c.now, Publish: time.Minute, RotateEvery: 24 * time.Hour, Grace: time.Hour})
	if err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.pass(59 * time.Second) // a second before the new key takes over
	sealed, err := r.Seal("upload", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, id := sign(t, r)
	for c.now().Before(start.Add(DefaultLifetime + time.Hour)) {
		c.pass(time.Minute)
		if err := r.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := c.now().Sub(start)
		if _, open := r.Open("upload", sealed); !open {
			t.Fatalf("what was sealed does not open after %s", after)
		}
		key, known := r.VerificationKey(t.Context(), id)
		if !known {
			t.Fatalf("an expired token is taken for a forged one after %s", after)
		}
		live := c.now().Before(key.Until)
		if live != (after < time.Minute+DefaultLifetime+2*Leeway) {
			t.Fatalf("the key is accepted until %s", key.Until.Sub(start))
		}
		listed := len(r.ListKeys()) == 2
		if shown := slices.Contains(published(t, r), id); shown != live || listed != live {
			t.Fatalf("after %s it is published: %v, listed: %v", after, shown, listed)
		}
	}
	c.pass(5 * time.Minute)
	if _, open := r.Open("upload", sealed); open {
		t.Error("it opens for good")
	}
	if err := r.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, known := r.current.Load().byID[id]; known {
		t.Error("the key is never dropped")
	}
}

// TestKeyRingDoesNotSignEarly: a gateway whose clock is behind that of the one
// which made the first key does not take the one that is still to be published.
func TestKeyRingDoesNotSignEarly(t *testing.T) {
	ahead, behind, store := newClock(), newClock(), NewMemoryStore()
	ahead.pass(10 * time.Second)
	maker := openRing(t, store, ahead.cfg())
	_, first := sign(t, maker)
	if err := maker.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, id := sign(t, openRing(t, store, behind.cfg())); id != first {
		t.Error("it signs with a key an hour before its use")
	}
}
