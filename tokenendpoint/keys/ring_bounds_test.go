package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestKeysFitTheirAlgorithm: a key of another kind, curve or size signs
// nothing.
func TestKeysFitTheirAlgorithm(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public, _, _ := ed25519.GenerateKey(rand.Reader)
	for name, test := range map[string]struct {
		key  crypto.PublicKey
		want []Algorithm
	}{
		"P-256":         {p256.Public(), []Algorithm{ES256}},
		"P-384":         {p384.Public(), nil},
		"RSA 2048":      {rfc7638Key, []Algorithm{RS256}},
		"RSA 1024":      {short.Public(), nil},
		"Ed25519":       {public, []Algorithm{EdDSA}},
		"no key at all": {"secret", nil},
	} {
		var fits []Algorithm
		for _, a := range []Algorithm{ES256, RS256, EdDSA} {
			if a.fits(test.key) {
				fits = append(fits, a)
			}
		}
		if len(fits) != len(test.want) || len(fits) > 0 && fits[0] != test.want[0] {
			t.Errorf("%s: fits %q, want %q", name, fits, test.want)
		}
	}
	if _, err := Algorithm("HS256").newPrivateKey(); err == nil {
		t.Error("made a key for an algorithm that is not on offer")
	}
}

// TestTokensOfARing: a token carries its payload, the id in the format that is
// configured, and a certificate only if one is asked for.
func TestTokensOfARing(t *testing.T) {
	for format, mark := range map[IDFormat]bool{Thumbprint: false, Libtrust: true} {
		r := openRing(t, NewMemoryStore(), Config{KeyID: format})
		token, id := sign(t, r)
		parts := strings.Split(token, ".")
		if strings.Contains(id, ":") != mark {
			t.Errorf("%s: id %q", format, id)
		}
		if got := string(fromBase64(base64.RawURLEncoding, parts[1])); got != `{"sub":"x"}` {
			t.Errorf("%s: payload %q", format, got)
		}
		var header map[string]any
		if err := json.Unmarshal(fromBase64(base64.RawURLEncoding, parts[0]), &header); err != nil || len(header) != 3 {
			t.Errorf("%s: header %v, %v", format, header, err)
		}
	}
}

// TestWhichKeySigns: the newest that may, wherever it stands in the ring; one
// that signs already before one that is yet to; and of those the first.
func TestWhichKeySigns(t *testing.T) {
	before, now, later := start.Add(-time.Hour), start, start.Add(time.Hour)
	for name, test := range map[string]struct {
		keys []*key
		want string
	}{
		"none":            {nil, ""},
		"the newest":      {[]*key{{id: "new", useFrom: now}, {id: "old", useFrom: before}}, "new"},
		"at the end":      {[]*key{{id: "old", useFrom: before}, {id: "new", useFrom: now}}, "new"},
		"not yet":         {[]*key{{id: "old", useFrom: before}, {id: "new", useFrom: later}}, "old"},
		"a retired one":   {[]*key{{id: "gone", useFrom: now, retiredAt: now}, {id: "old", useFrom: before}}, "old"},
		"about to retire": {[]*key{{id: "going", useFrom: now, retiredAt: later}, {id: "old", useFrom: before}}, "going"},
		"early":           {[]*key{{id: "b", useFrom: later.Add(time.Hour)}, {id: "a", useFrom: later}}, "a"},
		"early, in order": {[]*key{{id: "a", useFrom: later}, {id: "b", useFrom: later.Add(time.Hour)}}, "a"},
		"early, retired":  {[]*key{{id: "gone", useFrom: later, retiredAt: later}}, ""},
		"all retired":     {[]*key{{id: "gone", useFrom: before, retiredAt: now}}, ""},
	} {
		for _, k := range test.keys {
			k.algorithm = ES256
		}
		got := ""
		if k := (&snapshot{keys: test.keys}).signer(ES256, now); k != nil {
			got = k.id
		}
		if got != test.want {
			t.Errorf("%s: %q signs, want %q", name, got, test.want)
		}
		if (&snapshot{keys: test.keys}).signer(RS256, now) != nil {
			t.Errorf("%s: signs with another algorithm", name)
		}
	}
	c := &Config{Algorithm: ES256}
	for _, keys := range [][]keyDocument{
		{{Algorithm: ES256, UseFrom: now}, {Algorithm: ES256, UseFrom: before}, {Algorithm: RS256, UseFrom: later}},
		{{Algorithm: ES256, UseFrom: before}, {Algorithm: ES256, UseFrom: now}, {Algorithm: ES256, UseFrom: later, RetiredAt: now}},
		{{Algorithm: ES256, UseFrom: before}, {Algorithm: ES256, UseFrom: now, RetiredAt: later}},
	} {
		if newest := c.newest(&document{Keys: keys}, now); newest == nil || !newest.UseFrom.Equal(now) {
			t.Errorf("the newest of %v is %v", keys, newest)
		}
	}
}

// TestRotationsDoNotProlong: a key that was replaced ends when its last token
// does, whatever is rotated afterwards.
func TestRotationsDoNotProlong(t *testing.T) {
	clock := newClock()
	cfg := clock.cfg()
	cfg.Publish = time.Minute
	r := openRing(t, NewMemoryStore(), cfg)
	_, old := sign(t, r)
	for range 2 {
		if err := r.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock.pass(cfg.Publish)
	}
	clock.pass(r.cfg.keep() - cfg.Publish)
	if accepts(r, old) {
		t.Error("the second rotation prolonged the first key")
	}
}

// TestOtherAlgorithmsEnd: so does a key of an algorithm that was configured
// before, however often the ring is maintained.
func TestOtherAlgorithmsEnd(t *testing.T) {
	store, clock := NewMemoryStore(), newClock()
	_, old := sign(t, openRing(t, store, clock.cfg()))
	r := openRing(t, store, clock.with(EdDSA))
	for _, wait := range []time.Duration{DefaultRotateEvery + time.Minute, r.cfg.keep() / 2, r.cfg.keep() / 2} {
		clock.pass(wait)
		if err := r.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if accepts(r, old) {
		t.Error("maintaining the ring prolongs the key of the old algorithm")
	}
}

// TestNothingChangesWithoutAChange: what is kept by generation stays, and a
// gateway that comes second adds no key.
func TestNothingChangesWithoutAChange(t *testing.T) {
	clock := newClock()
	cfg := clock.cfg()
	var log strings.Builder
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	r := openRing(t, NewMemoryStore(), cfg)
	if !strings.Contains(log.String(), "made a signing key") {
		t.Errorf("logged %q", log.String())
	}
	generation := r.Generation()
	if err := r.Maintain(t.Context()); err != nil || r.Generation() != generation {
		t.Errorf("generation %d, then %d, %v", generation, r.Generation(), err)
	}
	if changed, err := r.firstKey(r.current.Load().document, start); changed || err != nil {
		t.Errorf("a second first key: %v, %v", changed, err)
	}
	sealed, err := r.Seal("test", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, opened := r.Open("test", sealed+"!"); opened {
		t.Error("opened with more behind it")
	}
}

func TestConfigOfARingHasItsBounds(t *testing.T) {
	c, err := Config{RotateEvery: 2 * DefaultPublish}.withDefaults()
	if err != nil || c.Reload != DefaultReload {
		t.Errorf("%+v, %v", c, err)
	}
	for _, wrong := range []Config{{RotateEvery: 2*DefaultPublish - 1}, {Algorithm: "HS256"}, {KeyID: "x"}} {
		if err := wrong.Validate(); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
	if err := (Config{RotateEvery: -1}).Validate(); err != nil {
		t.Error(err)
	}
}

// unsaved is a store that keeps nothing.
type unsaved struct{ Store }

func (unsaved) Save(context.Context, []byte) error { return errors.New("the disk is full") }

// TestWhatIsNotStoredIsSaid: whoever revokes or rotates learns that it could
// not be, and nothing has changed.
func TestWhatIsNotStoredIsSaid(t *testing.T) {
	clock, store := newClock(), NewMemoryStore()
	openRing(t, store, clock.cfg())
	r := openRing(t, unsaved{store}, clock.cfg())
	_, before := sign(t, r)
	if err := r.Revoke(t.Context()); err == nil {
		t.Error("revoked without being stored")
	}
	if err := r.Rotate(t.Context()); err == nil {
		t.Error("rotated without being stored")
	}
	clock.pass(DefaultRotateEvery)
	if err := r.Maintain(t.Context()); err == nil {
		t.Error("maintained without being stored")
	}
	if _, now := sign(t, r); now != before || !accepts(r, before) {
		t.Error("the keys are others")
	}
}
