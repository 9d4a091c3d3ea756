package state_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
)

const passphrase = "correct horse battery staple"

var rawKey = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))

func sealer(t testing.TB, st *state.State, c state.SealerConfig) *state.Sealer {
	t.Helper()
	x, err := st.NewSealer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestSealer(t *testing.T) {
	for name, key := range map[string]string{"no key": "", "key": rawKey, "passphrase": passphrase} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			x := sealer(t, gateway(t, s, state.Options{}), state.SealerConfig{Key: key})
			if x.Protects() != (key != "") {
				t.Error("Protects says otherwise")
			}
			sealed := x.Seal([]byte("refresh"), "user/1")
			if bytes.Contains(sealed, []byte("refresh")) || bytes.Equal(sealed, x.Seal([]byte("refresh"), "user/1")) {
				t.Error("not sealed")
			}
			again := sealer(t, gateway(t, s, state.Options{}), state.SealerConfig{Key: key})
			if value, err := again.Open(sealed, "user/1"); err != nil || string(value) != "refresh" {
				t.Errorf("after a restart: %q, %v", value, err)
			}
			if _, err := again.Open(sealed, "user/2"); !errors.Is(err, state.ErrSealed) {
				t.Errorf("elsewhere: %v", err)
			}
			for i := range sealed {
				broken := bytes.Clone(sealed)
				broken[i] ^= 1
				if _, err := again.Open(broken, "user/1"); !errors.Is(err, state.ErrSealed) {
					t.Fatalf("byte %d changed: %v", i, err)
				}
				if _, err := again.Open(sealed[:i], "user/1"); !errors.Is(err, state.ErrSealed) {
					t.Fatalf("cut at %d: %v", i, err)
				}
			}
			if clear := stored(t, s, "seal"); (key == "") != strings.Contains(clear, `"clear"`) {
				t.Errorf("stored as %s", clear)
			}
		})
	}
}

func stored(t testing.TB, s store.Store, kind string) string {
	t.Helper()
	documents, _, err := s.Load(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents {
		if d.Kind == kind {
			return string(d.Data)
		}
	}
	return ""
}

func TestSealerRefusesKeys(t *testing.T) {
	s := memstore.New()
	st := gateway(t, s, state.Options{})
	sealer(t, st, state.SealerConfig{Key: rawKey})
	before := stored(t, s, "seal")
	for name, c := range map[string]state.SealerConfig{"another": {Key: passphrase}, "none": {}} {
		if _, err := st.NewSealer(t.Context(), c); !errors.Is(err, state.ErrSealKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []state.SealerConfig{{Key: "short"}, {Previous: []string{rawKey}}, {Key: rawKey, Previous: []string{"short"}}} {
		_, err := st.NewSealer(t.Context(), c)
		if err == nil || errors.Is(err, state.ErrSealKey) || strings.Contains(err.Error(), "short\"") {
			t.Errorf("%v", err)
		}
	}
	if stored(t, s, "seal") != before {
		t.Error("the data keys were changed")
	}
}

// A key that comes later, and one that is replaced, leave all that was sealed
// readable, also to a gateway that has been running all along.
func TestSealerUpgrade(t *testing.T) {
	s := memstore.New()
	running := gateway(t, s, state.Options{})
	first := sealer(t, running, state.SealerConfig{})
	one := first.Seal([]byte("one"), "p")

	st := gateway(t, s, state.Options{})
	second := sealer(t, st, state.SealerConfig{Key: passphrase})
	two := second.Seal([]byte("two"), "p")
	if bytes.Equal(one[:8], two[:8]) {
		t.Error("new values are sealed with the data key that lay open")
	}
	if strings.Contains(stored(t, s, "seal"), `"clear"`) {
		t.Error("the data keys still lie open")
	}
	third := sealer(t, gateway(t, s, state.Options{}), state.SealerConfig{Key: rawKey, Previous: []string{"some other passphrase", passphrase}})
	for _, c := range []struct {
		sealed []byte
		want   string
	}{{one, "one"}, {two, "two"}} {
		if got, err := third.Open(c.sealed, "p"); err != nil || string(got) != c.want {
			t.Errorf("%q, %v", got, err)
		}
	}
	eventually(t, "the replaced key is refused", func() bool {
		_, err := st.NewSealer(t.Context(), state.SealerConfig{Key: passphrase})
		return errors.Is(err, state.ErrSealKey)
	})

	// The old process cannot read what is under a key that it does not have,
	// and says so; one with the key learns of data keys made by others.
	if _, err := first.Open(two, "p"); !errors.Is(err, state.ErrSealed) {
		t.Errorf("got %v", err)
	}
}

func TestSealerOfSeveralGateways(t *testing.T) {
	s := memstore.New()
	sealers := make([]*state.Sealer, 4)
	var group sync.WaitGroup
	for i := range sealers {
		st := gateway(t, s, state.Options{})
		group.Go(func() {
			x, err := st.NewSealer(t.Context(), state.SealerConfig{Key: rawKey})
			if err != nil {
				t.Error(err)
			}
			sealers[i] = x
		})
	}
	group.Wait()
	sealed := sealers[0].Seal([]byte("x"), "p")
	for i, x := range sealers {
		if _, err := x.Open(sealed, "p"); err != nil {
			t.Errorf("gateway %d: %v", i, err)
		}
	}
}

func TestSealerWithoutStore(t *testing.T) {
	s := faultstore.Wrap(memstore.New())
	st := gateway(t, s, state.Options{})
	s.Fail(faultstore.Apply, store.ErrReadOnly)
	if _, err := st.NewSealer(t.Context(), state.SealerConfig{}); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("got %v", err)
	}
	s.Fail(faultstore.Apply, nil)
	s.LoseAcknowledgements(1)
	if _, err := st.NewSealer(t.Context(), state.SealerConfig{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	eventually(t, "the lost write is seen", func() bool {
		x, err := st.NewSealer(t.Context(), state.SealerConfig{})
		return err == nil && x != nil
	})
}
