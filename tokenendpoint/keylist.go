package tokenendpoint

import "time"

// KeyInfo is what there is to know of a signing key but the key.
type KeyInfo struct {
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

// ListKeys returns the keys of the ring, the oldest first.
func (r *KeyRing) ListKeys() []KeyInfo {
	s := r.current.Load()
	signer := s.signer(r.cfg.Algorithm, r.cfg.Now())
	list := make([]KeyInfo, len(s.keys))
	for i, k := range s.keys {
		list[i] = KeyInfo{
			ID: k.id, Algorithm: k.algorithm, Created: s.document.Keys[i].Created, UseFrom: k.useFrom,
			RetiredAt: k.retiredAt, AcceptedUntil: k.acceptedUntil(r.cfg.keep()), Signs: k == signer,
		}
	}
	return list
}
