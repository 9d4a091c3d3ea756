package state_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/faultstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/memstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

func keyring(t testing.TB, st *state.State, x *state.Sealer, old keys.Store) *state.Keyring {
	t.Helper()
	k, err := st.OpenKeyring(t.Context(), x, old)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ring(t testing.TB, s keys.Store) *keys.Ring {
	t.Helper()
	r, err := keys.Open(t.Context(), s, keys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func keyIDs(r *keys.Ring) string {
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	_ = json.Unmarshal(r.JWKS(), &set)
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.ID)
	}
	return strings.Join(ids, " ")
}

func TestKeyringOfSeveralGateways(t *testing.T) {
	for name, key := range map[string]string{"clear": "", "sealed": rawKey} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			changed := make(chan struct{}, 100)
			rings := make([]*keys.Ring, 3)
			var group sync.WaitGroup
			for i := range rings {
				st := gateway(t, s, state.Options{})
				st.OnSigningKeys(func() { changed <- struct{}{} })
				group.Go(func() { rings[i] = ring(t, keyring(t, st, sealer(t, st, state.SealerConfig{Key: key}), nil)) })
			}
			group.Wait()
			for i, r := range rings {
				if keyIDs(r) == "" || keyIDs(r) != keyIDs(rings[0]) {
					t.Errorf("gateway %d has the keys %q, the first %q", i, keyIDs(r), keyIDs(rings[0]))
				}
			}
			if document := stored(t, s, "keyring"); strings.Contains(document, `"sealed"`) != (key != "") {
				t.Errorf("stored as %.40s", document)
			}
			for len(changed) > 0 {
				<-changed
			}

			// All at once: each change starts from the one before it.
			for _, r := range rings {
				group.Go(func() {
					if err := r.Revoke(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			select {
			case <-changed:
			case <-time.After(time.Second):
				t.Error("nobody is told")
			}
			eventually(t, "the same keys everywhere", func() bool {
				for _, r := range rings {
					if err := r.Maintain(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				return keyIDs(rings[0]) == keyIDs(rings[1]) && keyIDs(rings[1]) == keyIDs(rings[2])
			})
			events, err := gateway(t, s, state.Options{}).Events(t.Context(), "", 10)
			if err != nil || len(events) < 4 {
				t.Errorf("%d audit events, %v", len(events), err)
			}
			for _, e := range events {
				if strings.Contains(string(e.After), "PRIVATE") {
					t.Error("the audit log has the keys")
				}
			}
		})
	}
}

func TestKeyringTakesOver(t *testing.T) {
	s, old := memstore.New(), keys.NewMemoryStore()
	before := keyIDs(ring(t, old))
	var group sync.WaitGroup
	for range 3 {
		st := gateway(t, s, state.Options{})
		group.Go(func() {
			if got := keyIDs(ring(t, keyring(t, st, nil, old))); got != before {
				t.Errorf("keys %q, want those of old, %q", got, before)
			}
		})
	}
	group.Wait()
	// From now on the old place does not count.
	st := gateway(t, s, state.Options{})
	_ = old.Save(t.Context(), []byte("rubbish"))
	if got := keyIDs(ring(t, keyring(t, st, nil, old))); got != before {
		t.Errorf("keys %q, want %q", got, before)
	}
	// The first start of all finds nothing there either.
	fresh := keyring(t, gateway(t, memstore.New(), state.Options{}), nil, keys.NewMemoryStore())
	if _, err := fresh.Load(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	// An old place that cannot be read is no reason for new keys.
	away := errors.New("away")
	if _, err := gateway(t, memstore.New(), state.Options{}).OpenKeyring(t.Context(), nil, failing{away}); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Load(context.Context) ([]byte, error) { return nil, f.err }

func TestKeyringIsSealedLater(t *testing.T) {
	s := memstore.New()
	before := keyIDs(ring(t, keyring(t, gateway(t, s, state.Options{}), nil, nil)))
	st := gateway(t, s, state.Options{})
	k := keyring(t, st, sealer(t, st, state.SealerConfig{Key: passphrase}), nil)
	if document := stored(t, s, "keyring"); strings.Contains(document, `"document"`) {
		t.Error("still in the clear")
	}
	if got := keyIDs(ring(t, k)); got != before {
		t.Errorf("keys %q, want %q", got, before)
	}
	// Without the key, or without any sealer, the keys are out of reach and
	// nothing is put in their place.
	other := gateway(t, s, state.Options{})
	if _, err := other.OpenKeyring(t.Context(), nil, nil); !errors.Is(err, state.ErrSealKey) {
		t.Errorf("got %v", err)
	}
	if got := keyIDs(ring(t, keyring(t, other, sealer(t, other, state.SealerConfig{Key: passphrase}), nil))); got != before {
		t.Errorf("keys %q, want %q", got, before)
	}
}

func TestKeyringFencesItsSaves(t *testing.T) {
	s := memstore.New()
	a, b := gateway(t, s, state.Options{}), gateway(t, s, state.Options{})
	slow, quick := keyring(t, a, nil, nil), keyring(t, b, nil, nil)
	if err := slow.Save(t.Context(), []byte("one")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "seen", func() bool { _, err := quick.Load(t.Context()); return err == nil })
	if err := quick.Save(t.Context(), []byte("two")); err != nil {
		t.Fatal(err)
	}
	if err := slow.Save(t.Context(), []byte("late")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a gateway that lost its lock wrote: %v", err)
	}
}

func TestKeyringWithoutStore(t *testing.T) {
	s := faultstore.Wrap(memstore.New())
	st := gateway(t, s, state.Options{})
	k := keyring(t, st, nil, nil)
	r := ring(t, k)
	before := keyIDs(r)
	s.Fail(faultstore.Apply, store.ErrUnavailable)
	s.Fail(faultstore.Watch, store.ErrUnavailable)
	s.Fail(faultstore.Load, store.ErrUnavailable)
	if err := r.Maintain(t.Context()); err != nil || keyIDs(r) != before {
		t.Errorf("what is known does not go on: %v", err)
	}
	if err := r.Revoke(t.Context()); !errors.Is(err, store.ErrUnavailable) || keyIDs(r) != before {
		t.Errorf("got %v", err)
	}
	s.Fail(faultstore.Apply, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Revoke(ctx); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("changed keys without knowing what others did: %v", err)
	}
}

var _ keys.Store = (*state.Keyring)(nil)
