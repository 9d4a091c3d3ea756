package state

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/crypto/argon2"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Errors of a [Sealer].
var (
	// ErrSealKey: the store is sealed with another key than the one given.
	ErrSealKey = errors.New("the encryption key is not the one that the store is sealed with")
	// ErrSealed: something that was sealed cannot be opened.
	ErrSealed = errors.New("the sealed value cannot be opened")
)

// Sealer encrypts small values before they are stored: identity providers'
// refresh tokens and, with a key, the signing keys (AES-256-GCM).
//
// Values are encrypted with data keys which are in the store themselves. With
// a key from the configuration the data keys are encrypted by it, and who gets
// hold of the store alone can read nothing. Without one they are there in the
// clear: values are then unreadable in the record that they are in, but not to
// somebody who has the whole store. A key that is configured later encrypts
// the old data keys and makes a new one for what is written from then on; it
// cannot protect copies of the store that were made before.
type Sealer struct {
	state *State
	key   []byte // derived from the configuration; nil: none
	salt  []byte // that it was derived with

	mu   sync.Mutex
	keys map[string]cipher.AEAD // data keys by id
	last string                 // the one for new values
}

// SealerConfig says what protects the data keys.
type SealerConfig struct {
	// Key is 32 bytes in base64, or a passphrase of at least 16 characters.
	// Empty: none.
	Key string
	// Previous are keys that were used before. What they protect is protected
	// by Key from now on.
	Previous []string
}

// sealID is the id of the only record.
const sealID = "data_keys"

// sealRecord are the data keys, the last of which is for new values.
type sealRecord struct {
	Salt []byte    `json:"salt"` // for deriving the configured key
	Keys []dataKey `json:"keys"`
}

// dataKey is one of them: in the clear, or encrypted.
type dataKey struct {
	ID        string `json:"id"`
	Clear     []byte `json:"clear,omitempty"`
	Encrypted []byte `json:"encrypted,omitempty"`
}

const (
	dataKeySize   = 32
	minPassphrase = 16
)

// NewSealer opens the data keys of a realm, making them on the first start. It
// takes a quarter of a second. [ErrSealKey]: none of the keys given is the
// right one; nothing was changed.
func (s *State) NewSealer(ctx context.Context, c SealerConfig) (*Sealer, error) {
	if c.Key == "" && len(c.Previous) > 0 {
		return nil, errors.New("encryption key: there are previous ones and none to follow them")
	}
	for {
		x, err := s.newSealer(ctx, c)
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) {
			return x, err
		}
		// Another gateway was faster: go on from what it has written.
		if err := s.CaughtUp(ctx, conflict.Revision); err != nil {
			return nil, err
		}
	}
}

func (s *State) newSealer(ctx context.Context, c SealerConfig) (*Sealer, error) {
	before, condition := &sealRecord{Salt: random(16)}, Absent
	item, ok := s.seals.Get(sealID)
	if ok {
		before, condition = item.Value, Unchanged(item)
	}
	x := &Sealer{state: s, salt: before.Salt, keys: map[string]cipher.AEAD{}}
	var err error
	if x.key, err = deriveKey(c.Key, before.Salt); err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	candidates := [][]byte{x.key}
	for _, text := range c.Previous {
		key, err := deriveKey(text, before.Salt)
		if err != nil {
			return nil, fmt.Errorf("previous encryption key: %w", err)
		}
		candidates = append(candidates, key)
	}
	after, changed, err := x.reseal(before, candidates)
	if err != nil || !changed {
		return x, err
	}
	var tx Tx
	Put(&tx, s.seals, sealID, after, condition)
	tx.Note(System, "seal.keys", Object{Kind: "seal", ID: sealID}, nil, map[string]any{"data_keys": len(after.Keys), "encrypted": x.key != nil})
	if err := s.Commit(ctx, &tx); err != nil {
		return nil, fmt.Errorf("writing the data keys: %w", err)
	}
	return x, nil
}

// reseal opens the data keys with one of the candidates, the first of which is
// the one that is to protect them, and returns them as they are to be stored.
func (x *Sealer) reseal(before *sealRecord, candidates [][]byte) (after *sealRecord, changed bool, err error) {
	after = &sealRecord{Salt: before.Salt}
	exposed := len(before.Keys) == 0
	for _, d := range before.Keys {
		raw, by, err := d.open(candidates)
		if err != nil {
			return nil, false, err
		}
		if x.key != nil && by != 0 {
			exposed, changed = exposed || by < 0, true
			d = protect(d.ID, raw, x.key)
		}
		after.Keys = append(after.Keys, d)
		x.add(d.ID, raw)
	}
	if exposed {
		raw, id := random(dataKeySize), rand.Text()[:8]
		after.Keys, changed = append(after.Keys, protect(id, raw, x.key)), true
		x.add(id, raw)
	}
	return after, changed, nil
}

// open returns the data key and which of the candidates has protected it, -1
// if it is in the clear.
func (d *dataKey) open(candidates [][]byte) (raw []byte, by int, err error) {
	if len(d.Clear) == dataKeySize {
		return d.Clear, -1, nil
	}
	for i, key := range candidates {
		if key == nil {
			return nil, 0, fmt.Errorf("%w: it is sealed, and no key is configured", ErrSealKey)
		}
		if raw, err := open(newAEAD(key), d.Encrypted, d.ID); err == nil && len(raw) == dataKeySize {
			return raw, i, nil
		}
	}
	return nil, 0, ErrSealKey
}

func protect(id string, raw, key []byte) dataKey {
	if key == nil {
		return dataKey{ID: id, Clear: raw}
	}
	return dataKey{ID: id, Encrypted: seal(newAEAD(key), raw, id)}
}

func (x *Sealer) add(id string, raw []byte) { x.keys[id], x.last = newAEAD(raw), id }

// Protects reports whether a key from the configuration protects what is
// sealed.
func (x *Sealer) Protects() bool { return x != nil && x.key != nil }

// Seal encrypts a value. Place is where it will be kept, such as
// "user/<id>/provider": it opens nowhere else.
func (x *Sealer) Seal(value []byte, place string) []byte {
	x.mu.Lock()
	id, key := x.last, x.keys[x.last]
	x.mu.Unlock()
	return append([]byte(id+":"), seal(key, value, place)...)
}

// Open decrypts a value. [ErrSealed]: it was changed, is of another place, or
// its data key is gone.
func (x *Sealer) Open(sealed []byte, place string) ([]byte, error) {
	const idLength = 8
	if len(sealed) <= idLength || sealed[idLength] != ':' {
		return nil, fmt.Errorf("%w: it is not well formed", ErrSealed)
	}
	key, err := x.find(string(sealed[:idLength]))
	if err != nil {
		return nil, err
	}
	return open(key, sealed[idLength+1:], place)
}

// find returns a data key, looking for those that others have made since.
func (x *Sealer) find(id string) (cipher.AEAD, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if key, ok := x.keys[id]; ok {
		return key, nil
	}
	if item, ok := x.state.seals.Get(sealID); ok {
		fresh := &Sealer{key: x.key, keys: map[string]cipher.AEAD{}}
		if _, _, err := fresh.reseal(item.Value, [][]byte{x.key}); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSealed, err)
		}
		if key, ok := fresh.keys[id]; ok {
			maps.Copy(x.keys, fresh.keys)
			x.last = item.Value.Keys[len(item.Value.Keys)-1].ID
			return key, nil
		}
	}
	return nil, fmt.Errorf("%w: there is no data key %q", ErrSealed, id)
}

// deriveKey makes a key of what is configured; nil if nothing is.
func deriveKey(text string, salt []byte) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if raw, err := encoding.DecodeString(text); err == nil && len(raw) == sha256.Size {
			return raw, nil
		}
	}
	if len(text) < minPassphrase {
		return nil, fmt.Errorf("want 32 bytes in base64, or a passphrase of at least %d characters", minPassphrase)
	}
	const passes, memory, threads = 3, 64 << 10, 4 // RFC 9106 §4, second choice
	return argon2.IDKey([]byte(text), salt, passes, memory, threads, dataKeySize), nil
}

func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("a key of " + fmt.Sprint(len(key)) + " bytes") // all are made here
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func seal(key cipher.AEAD, value []byte, place string) []byte {
	return key.Seal(nil, nil, value, []byte(place)) //nolint:gosec // the nonce is random: see newAEAD
}

func open(key cipher.AEAD, sealed []byte, place string) ([]byte, error) {
	value, err := key.Open(nil, nil, sealed, []byte(place))
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed, or belongs elsewhere", ErrSealed)
	}
	return value, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
