// Package keys has the keys that sign registry tokens: the ring, how it rotates,
// where it is kept, what is published of it, and what is sealed with it.
package keys

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Ring holds the keys that sign registry tokens. Readers take no lock: they
// see an immutable snapshot, which Run and the methods that change the ring
// replace. All gateways that share the store share the ring.
type Ring struct {
	store Store
	cfg   Config

	current  atomic.Pointer[snapshot]
	turn     chan struct{} // held by who reads or changes the store
	lastMiss atomic.Int64  // Unix nanoseconds of the last reload for an unknown key id
}

// snapshot is one state of the ring.
type snapshot struct {
	keys         []*key // as stored: oldest first
	byID         map[string]*key
	jwks         publication // of the keys that are accepted
	certificates publication
	until        time.Time // when one of them is not any more; zero: no end is known
	generation   uint64
	digest       [sha256.Size]byte // of the stored document
	document     *document
}

// Open reads the ring from the store and makes the first key if there
// is none. Several gateways may start at the same time: one makes the key, the
// others find it. A document that can't be used is an error that wraps
// [ErrRing].
func Open(ctx context.Context, store Store, cfg Config) (*Ring, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Ring{store: store, cfg: cfg, turn: make(chan struct{}, 1)}
	err = r.Maintain(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		if err = r.change(ctx, r.firstKey); err == nil {
			err = r.Maintain(ctx) // the key may be another gateway's, of another algorithm
		}
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Sign returns the compact JWS of a payload, signed with the present key.
func (r *Ring) Sign(payload []byte) (string, error) {
	k := r.current.Load().signer(r.cfg.Algorithm, r.cfg.Now())
	if k == nil {
		return "", errors.New("no key of the ring may sign at this time")
	}
	return k.sign(payload)
}

// Published returns what is published of the keys, certificates as PEM and the
// key set of RFC 7517 §5. Callers do not change it.
func (r *Ring) Published() (certificates, jwks []byte) {
	s := r.current.Load()
	return s.certificates.body, s.jwks.body
}

// VerificationKey implements [authn.KeySource]. An unknown id makes the ring
// look into the store, at most once in five seconds: another gateway may just
// have changed the keys.
func (r *Ring) VerificationKey(ctx context.Context, id string) (authn.VerificationKey, bool) {
	k, known := r.current.Load().byID[id]
	if !known {
		now := r.cfg.Now().UnixNano()
		last := r.lastMiss.Load()
		if now-last < int64(missInterval) || !r.lastMiss.CompareAndSwap(last, now) {
			return authn.VerificationKey{}, false
		}
		r.lookAgain(ctx)
		if k, known = r.current.Load().byID[id]; !known {
			return authn.VerificationKey{}, false
		}
	}
	if k.over(r.cfg.recall(), r.cfg.Now()) {
		return authn.VerificationKey{}, false
	}
	return authn.VerificationKey{Method: k.method, Public: k.public, Until: k.acceptedUntil(r.cfg.keep())}, true
}

// lookAgain reloads for a request, whose client may not end it early: the next
// look is some seconds away, for everybody.
func (r *Ring) lookAgain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), missInterval)
	defer cancel()
	if err := r.reload(ctx); err != nil {
		r.cfg.Log.Error("reading the signing keys again", "error", err)
	}
}

// Generation implements [authn.KeySource]: it changes with every change of
// the ring.
func (r *Ring) Generation() uint64 { return r.current.Load().generation }

// signer returns the key that signs new tokens: the newest one of the
// algorithm that may. Where none may (the clock of the gateway that made it
// is ahead of ours) the first that will does, and not one that others do not
// have yet.
func (s *snapshot) signer(algorithm Algorithm, now time.Time) *key {
	var best, early *key
	for _, k := range s.keys {
		switch {
		case k.algorithm != algorithm:
		case k.signs(now):
			if best == nil || k.useFrom.After(best.useFrom) {
				best = k
			}
		case (k.retiredAt.IsZero() || now.Before(k.retiredAt) && k.useFrom.Before(k.retiredAt)) && (early == nil || k.useFrom.Before(early.useFrom)):
			early = k
		}
	}
	if best == nil {
		return early
	}
	return best
}

// reload takes over what the store has.
func (r *Ring) reload(ctx context.Context) error {
	if err := r.acquire(ctx); err != nil {
		return err
	}
	defer r.release()
	raw, err := r.store.Load(ctx)
	if err != nil {
		return fmt.Errorf("loading the signing keys: %w", err)
	}
	return r.install(raw)
}

// install replaces the snapshot if the document is another one. The caller
// has the turn.
func (r *Ring) install(raw []byte) error {
	digest, old, now := sha256.Sum256(raw), r.current.Load(), r.cfg.Now()
	if old != nil && old.digest == digest && (old.until.IsZero() || now.Before(old.until)) {
		return nil
	}
	doc, err := parseRing(raw)
	if err != nil {
		return err
	}
	s := &snapshot{document: doc, digest: digest, generation: 1, byID: make(map[string]*key)}
	for i, d := range doc.Keys {
		k, err := newKey(d, r.cfg.KeyID, r.cfg.X5C)
		if err != nil {
			return fmt.Errorf("%w: keys[%d].%w", ErrRing, i, err)
		}
		s.keys = append(s.keys, k)
		for _, id := range k.ids {
			s.byID[id] = k
		}
	}
	var accepted []*key
	for _, k := range s.keys {
		if k.over(r.cfg.keep(), now) {
			continue
		}
		accepted = append(accepted, k)
		if until := k.acceptedUntil(r.cfg.keep()); !until.IsZero() && (s.until.IsZero() || until.Before(s.until)) {
			s.until = until
		}
	}
	if s.jwks, err = publishJWKS(accepted); err != nil {
		return err
	}
	s.certificates = publishCertificates(accepted)
	if old != nil {
		s.generation = old.generation + 1
	}
	r.current.Store(s)
	return nil
}

func (r *Ring) acquire(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Ring) release() { <-r.turn }

// Info is what there is to know of a signing key but the key.
type Info struct {
	ID        string // the "kid" that it is published with
	Algorithm Algorithm
	Created   time.Time
	UseFrom   time.Time
	// RetiredAt is when it stops to sign, AcceptedUntil when its last token
	// has ended; zero: not known yet.
	RetiredAt, AcceptedUntil time.Time
	// Signs: new tokens are signed with it.
	Signs bool
}

// ListKeys returns the keys of the ring that are accepted, the oldest first.
func (r *Ring) ListKeys() []Info {
	s := r.current.Load()
	signer := s.signer(r.cfg.Algorithm, r.cfg.Now())
	list := make([]Info, 0, len(s.keys))
	for i, k := range s.keys {
		if k.over(r.cfg.keep(), r.cfg.Now()) {
			continue
		}
		list = append(list, Info{
			ID: k.id, Algorithm: k.algorithm, Created: s.document.Keys[i].Created, UseFrom: k.useFrom,
			RetiredAt: k.retiredAt, AcceptedUntil: k.acceptedUntil(r.cfg.keep()), Signs: k == signer,
		})
	}
	return list
}
