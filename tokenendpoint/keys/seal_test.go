package keys

import (
	"bytes"
	"testing"
	"time"
)

func TestSealOpensForItsPurposeOnly(t *testing.T) {
	store := NewMemoryStore()
	ring, err := Open(t.Context(), store, Config{})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := ring.Seal("upload", []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := ring.Seal("upload", []byte("value")); again == sealed {
		t.Error("sealing twice gives the same text")
	}
	other, err := Open(t.Context(), store, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if value, ok := other.Open("upload", sealed); !ok || !bytes.Equal(value, []byte("value")) {
		t.Error("another gateway with the same keys cannot open it")
	}
	if err := ring.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := ring.Open("upload", sealed); !ok {
		t.Error("a rotation closed it")
	}
	strangers, err := Open(t.Context(), NewMemoryStore(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, opened := range map[string]bool{
		"other purpose": second(ring.Open("catalog", sealed)),
		"other keys":    second(strangers.Open("upload", sealed)),
		"cut":           second(ring.Open("upload", sealed[:len(sealed)-2])),
		"changed":       second(ring.Open("upload", "A"+sealed[1:])) && sealed[0] != 'A',
		"empty":         second(ring.Open("upload", "")),
	} {
		if opened {
			t.Errorf("%s: opened", name)
		}
	}
}

func second(_ []byte, ok bool) bool { return ok }

// TestOldKeysOpenNothing: what was sealed with a key goes with the key's last
// token, also while the key is still in the ring.
func TestOldKeysOpenNothing(t *testing.T) {
	clock := newClock()
	r := openRing(t, NewMemoryStore(), clock.cfg())
	sealed, err := r.Seal("upload", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.pass(DefaultPublish + r.cfg.keep() - time.Second)
	if _, ok := r.Open("upload", sealed); !ok {
		t.Error("it goes before the last token")
	}
	clock.pass(time.Second)
	if _, ok := r.Open("upload", sealed); ok {
		t.Error("it stays after the last token")
	}
	for _, short := range []string{"!", "AA", "AAAAAAAAAAAAAAAA", sealed + "=", sealed + "\n"} {
		if _, ok := r.Open("upload", short); ok {
			t.Errorf("%q opens", short)
		}
	}
}
