package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

const (
	keyringID = "signing_keys"
	// keyringPlace is what the document is sealed for.
	keyringPlace = "keyring/" + keyringID

	// keyringLease is for how long a gateway may change the keys, lockWait
	// how long one waits for its turn.
	keyringLease = 15 * time.Second
	lockWait     = 30 * time.Second
)

// keyringRecord is the document with the signing keys: as it is, or sealed.
type keyringRecord struct {
	Document []byte `json:"document,omitempty"`
	Sealed   []byte `json:"sealed,omitempty"`
}

// ErrNoKeyring: the store has no signing keys yet. It is [fs.ErrNotExist].
var ErrNoKeyring = fmt.Errorf("no signing keys are stored: %w", fs.ErrNotExist)

// Keyring keeps the signing keys of a realm in its store. It is what the token
// endpoint knows as a key store: Load, Save and Lock.
//
// Load is served from memory, where changes of others arrive within a second;
// under a lock it returns what was the last when the lock was taken. Save
// replaces what Load has returned and nothing else: should the lock be lost,
// it fails and the keys of the other gateway stay.
type Keyring struct {
	state  *State
	sealer *Sealer

	mu     sync.Mutex
	loaded uint64 // revision that Load has returned last, 0 for none
}

// OldKeys is where signing keys were kept before there was a store.
type OldKeys interface {
	// Load returns the document, [fs.ErrNotExist] if there is none.
	Load(ctx context.Context) ([]byte, error)
}

// OpenKeyring returns the signing keys of a realm. If there are none, those of
// old are taken over, where they have been kept before; nil: nowhere. Tokens
// that they have signed stay good. With a sealer that protects, keys that are
// stored in the clear are sealed at once.
func (s *State) OpenKeyring(ctx context.Context, sealer *Sealer, old OldKeys) (*Keyring, error) {
	k := &Keyring{state: s, sealer: sealer}
	if !k.unsettled(old != nil) {
		_, err := k.Load(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return k, err
	}
	unlock, err := k.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if !k.unsettled(old != nil) {
		return k, nil // another gateway was faster
	}
	document, err := k.Load(ctx)
	if errors.Is(err, fs.ErrNotExist) && old != nil {
		document, err = old.Load(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			return k, nil // the first start
		}
	}
	if err != nil {
		return nil, fmt.Errorf("taking over the signing keys: %w", err)
	}
	return k, k.Save(ctx, document)
}

// unsettled reports whether there is something to take over or to seal.
func (k *Keyring) unsettled(old bool) bool {
	item, ok := k.state.keyrings.Get(keyringID)
	if !ok {
		return old
	}
	return item.Value.Sealed == nil && k.sealer.Protects()
}

// Load returns the document, [ErrNoKeyring] if there is none yet.
func (k *Keyring) Load(context.Context) ([]byte, error) {
	item, ok := k.state.keyrings.Get(keyringID)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !ok {
		k.loaded = 0
		return nil, ErrNoKeyring
	}
	document := item.Value.Document
	if item.Value.Sealed != nil {
		if k.sealer == nil {
			return nil, fmt.Errorf("reading the signing keys: %w", ErrSealKey)
		}
		var err error
		if document, err = k.sealer.Open(item.Value.Sealed, keyringPlace); err != nil {
			return nil, fmt.Errorf("reading the signing keys: %w", err)
		}
	}
	k.loaded = item.Revision
	return document, nil
}

// Save replaces the document that was loaded.
func (k *Keyring) Save(ctx context.Context, document []byte) error {
	record := &keyringRecord{Document: document}
	if k.sealer.Protects() {
		record = &keyringRecord{Sealed: k.sealer.Seal(document, keyringPlace)}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	condition := Absent
	if k.loaded != 0 {
		condition = store.Precondition{Revision: k.loaded}
	}
	var tx Tx
	Put(&tx, k.state.keyrings, keyringID, record, condition)
	tx.Note(System, "signing_keys.write", Object{Kind: "signing_keys", ID: keyringID}, nil, map[string]any{"sealed": record.Sealed != nil})
	if err := k.state.Commit(ctx, &tx); err != nil {
		return err
	}
	k.loaded = tx.sequence
	return nil
}

// Lock keeps other gateways from changing the keys. It waits half a minute for
// its turn, and for the changes of those that had theirs before.
func (k *Keyring) Lock(ctx context.Context) (unlock func(), err error) {
	wait, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lease, err := k.state.AcquireLease(wait, keyringID, keyringLease)
	if err != nil {
		return nil, err
	}
	unlock = func() {
		// If this fails the lease ends by itself.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = lease.Release(last)
	}
	if err := k.state.CaughtUp(wait, lease.revision); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}
