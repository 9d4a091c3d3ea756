package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Condition is how a store is.
type Condition string

// The conditions.
const (
	StoreGood     Condition = "ok"
	StoreAway     Condition = "away"      // cannot be reached
	StoreStale    Condition = "stale"     // the same, for longer than stored credentials are good for
	StoreDamaged  Condition = "damaged"   // damaged, replaced, deleted
	StoreFull     Condition = "full"      // the last change had no room
	StoreReadOnly Condition = "read-only" // the last change was refused
)

// Health says whether the state follows its store.
type Health struct {
	// Ready: the store can be reached and its changes come in. While it is
	// not, everything that is known goes on, and only writes are refused.
	Ready bool
	// Since is when Ready became what it is.
	Since time.Time
	// Err is why it is not ready.
	Err error
	// Condition says the same in a word. It is StoreFull or StoreReadOnly where
	// changes come in and cannot be made.
	Condition Condition
	// Sequence is the number of the last change that came in from the store,
	// Changed when it did, or when the state was opened. Gateways that share
	// a store have the same number but for what is under way.
	Sequence uint64
	Changed  time.Time
}

// Health returns how things are.
func (s *State) Health() Health {
	h := *s.health.Load()
	h.Sequence, h.Changed = s.seen.Load(), time.Unix(0, s.changed.Load())
	h.Condition = StoreGood
	refused := s.refused.Load()
	switch {
	case !h.Ready && errors.Is(h.Err, store.ErrDamaged):
		h.Condition = StoreDamaged
	case !h.Ready && s.Stale() != nil:
		h.Condition = StoreStale
	case !h.Ready:
		h.Condition = StoreAway
	case refused != nil:
		h.Condition, h.Since, h.Err = StoreReadOnly, refused.since, refused.err
		if errors.Is(refused.err, store.ErrFull) {
			h.Condition = StoreFull
		}
	}
	return h
}

// Sequence returns the number up to which the changes of all gateways are in the
// tables.
func (s *State) Sequence() uint64 { return s.seen.Load() }

// refusal is that the store takes no changes, though it can be reached.
type refusal struct {
	since time.Time
	err   error
}

// wrote takes note of what came of a change.
func (s *State) wrote(err error) {
	before := s.refused.Load()
	switch {
	case errors.Is(err, store.ErrFull), errors.Is(err, store.ErrReadOnly):
		if before == nil {
			s.refused.Store(&refusal{s.now(), err})
		}
	case err == nil && before != nil:
		s.refused.Store(nil)
	}
}

// SetMaxStale sets for how long stored credentials are good while nothing is
// heard from the store; 0 for as long as that takes.
func (s *State) SetMaxStale(d time.Duration) { s.maxStale.Store(int64(d)) }

// Stale returns an error wrapping [store.ErrStale] if nothing was heard from the
// store for too long.
func (s *State) Stale() error {
	most := time.Duration(s.maxStale.Load())
	if most <= 0 {
		return nil
	}
	h := s.health.Load()
	if h == nil || h.Ready || s.now().Sub(h.Since) <= most {
		return nil
	}
	return fmt.Errorf("%w: since %s, max_stale is %s", store.ErrStale, h.Since.UTC().Format(time.RFC3339), most)
}

// CheckStale returns an error for a principal that only the store vouches for,
// once nothing was heard from it for too long: that its credential was withdrawn
// would not be known here.
func (s *State) CheckStale(p *authn.Principal) error {
	if s.maxStale.Load() <= 0 || !s.vouchesFor(p) {
		return nil
	}
	return s.Stale()
}

// vouchesFor reports whether a principal's credential is one of the store's, or
// was got with one.
func (s *State) vouchesFor(p *authn.Principal) bool {
	switch p.Authenticator {
	case TokensName, authn.IdentityTokensName:
		return true
	case authn.RobotsName:
		_, stored := s.Robots.Get(p.Name)
		return stored
	}
	const session = "session" // of a browser
	return p.Credential == session || p.Origin == session
}

func (s *State) failed(err error) {
	if h := s.health.Load(); h.Ready {
		s.health.Store(&Health{Since: s.now(), Err: err})
		s.options.Log.Error("the store is away: what is known goes on, nothing can be changed", "realm", s.realm, "error", err)
		return
	}
	s.health.Store(&Health{Since: s.health.Load().Since, Err: err})
}

func (s *State) recovered() {
	if h := s.health.Load(); !h.Ready {
		s.health.Store(&Health{Ready: true, Since: s.now()})
		s.options.Log.Info("the store is back", "realm", s.realm, "away", s.now().Sub(h.Since).String())
	}
}

// tidyEvery is how often what has ended is removed from the store.
const tidyEvery = 10 * time.Minute

// tidy removes what has ended: expired sessions and tokens a while after
// their end, revocations that concern no living token, old audit events.
func (s *State) tidy(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(tidyEvery):
		}
		s.Tidy(ctx)
	}
}

// Tidy does at once what is done every ten minutes otherwise.
func (s *State) Tidy(ctx context.Context) {
	now := s.now()
	var tx Tx
	collect(&tx, s.Sessions, func(v *Session) bool { return v.ended(now) })
	collect(&tx, s.DeviceLogins, func(v *DeviceLogin) bool { return v.Ended(now) })
	collect(&tx, s.Confirmations, func(v *Confirmation) bool { return v.Ended(now) })
	collect(&tx, s.IdentityTokens, func(v *IdentityToken) bool { return v.ended(now) })
	collect(&tx, s.Tokens, func(v *Token) bool { return !v.Expires.IsZero() && now.After(v.Expires.Add(keepExpired)) })
	collect(&tx, s.APIKeys, func(v *APIKey) bool { return !v.Expires.IsZero() && now.After(v.Expires.Add(keepExpired)) })
	collect(&tx, s.Owners, func(v *Owner) bool { return v.Pending && now.After(v.Since.Add(2*pendingOwner)) })
	collect(&tx, s.Once, func(v *Once) bool { return now.After(v.Until) })
	collect(&tx, s.Guards, func(v *Guard) bool { return now.After(v.Changed.Add(keepGuard)) })
	collect(&tx, s.Tallies, func(v *Tally) bool { return now.After(v.Last.Add(keepTally)) })
	collect(&tx, s.SpentOnce, func(v *Spent) bool { return now.After(v.Until.Add(clockSkew)) })
	collect(&tx, s.Revocations, func(v *Revocation) bool { return !v.Until.IsZero() && now.After(v.Until) })
	for item := range s.Usage.All() {
		if !s.usedThingExists(item.ID) {
			Delete(&tx, s.Usage, item.ID, Unchanged(item))
		}
	}
	for len(tx.changes) > 0 {
		n := min(len(tx.changes), maxTidy)
		part := Tx{changes: tx.changes[:n]}
		tx.changes = tx.changes[n:]
		// Another gateway may have done the same: what is left is for later.
		if err := s.Commit(ctx, &part); err != nil {
			break
		}
	}
	if err := s.store.Trim(ctx, s.realm, store.EntryID(now.Add(-s.options.KeepEvents), "")); err != nil {
		s.options.Log.Warn("removing old audit events", "realm", s.realm, "error", err)
	}
}

const (
	// keepExpired is how long tokens and keys that have expired are shown.
	keepExpired = 30 * 24 * time.Hour
	maxTidy     = 500 // changes in one commit
)

// collect adds the deletion of records to a transaction.
func collect[T any](tx *Tx, t *Table[T], ended func(*T) bool) {
	for item := range t.All() {
		if ended(item.Value) {
			Delete(tx, t, item.ID, Unchanged(item))
		}
	}
}

// ExpiringSoon is how long before their end things count as expiring.
const ExpiringSoon = 7 * 24 * time.Hour

// Census is how many records of a kind there are.
type Census struct {
	Kind    string // as in the store: "robot"
	Records int
	// Expires says that they can be given an end, Expiring how many are good
	// now and end within [ExpiringSoon].
	Expires  bool
	Expiring int
}

// Census counts the records that people care for.
func (s *State) Census() []Census {
	now := s.now()
	soon := func(expires time.Time, disabled bool) bool {
		return !disabled && !expires.IsZero() && expires.After(now) && expires.Before(now.Add(ExpiringSoon))
	}
	return []Census{
		count(s.Robots, func(r *Robot) bool { return soon(r.Expires, r.Disabled) }),
		count(s.Tokens, func(t *Token) bool { return soon(t.Expires, t.Disabled) }),
		count(s.APIKeys, func(k *APIKey) bool { return soon(k.Expires, k.Disabled) && !k.Bootstrap }),
		count(s.Projects, nil),
		count(s.RoleMappings, nil),
		count(s.Users, nil),
		count(s.Sessions, nil),
		count(s.IdentityTokens, nil),
	}
}

func count[T any](t *Table[T], expiring func(*T) bool) Census {
	c := Census{Kind: t.kind, Expires: expiring != nil}
	for item := range t.All() {
		c.Records++
		if c.Expires && expiring(item.Value) {
			c.Expiring++
		}
	}
	return c
}
