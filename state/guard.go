package state

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Guard is what changes write that must not pass each other unseen: of two that
// have looked at the same time for what the other one makes, such as the last
// place of a limited number or a robot of a project that is being deleted, one
// fails and looks again. Its id says what it is about.
type Guard struct {
	Changed time.Time `json:"changed"`
}

// GuardProject returns the id of the guard of what belongs to a project.
func GuardProject(name string) string { return "project/" + name }

// GuardKeys is the id of the guard of the number and names of keys of the API.
const GuardKeys = "keys"

// Guarding is a guard as it was before something else was looked at.
type Guarding struct {
	state *State
	id    string
	item  *Item[Guard]
}

// Guard reads a guard. What is read of the tables afterwards is no older, and if
// it is not true any more when the transaction is committed into which the guard
// is put, that fails with [store.ErrConflict].
func (s *State) Guard(id string) Guarding {
	g := Guarding{state: s, id: id}
	if item, ok := s.Guards.Get(id); ok {
		g.item = item
	}
	s.Barrier()
	return g
}

// Put adds the guard to a transaction.
func (g Guarding) Put(tx *Tx) {
	condition := Absent
	if g.item != nil {
		condition = Unchanged(g.item)
	}
	Put(tx, g.state.Guards, g.id, &Guard{Changed: g.state.now().UTC()}, condition)
}

// Barrier waits until a change that the tables are being brought up to is in them
// as a whole: what is read afterwards is no older than any part of it that was
// read before.
func (s *State) Barrier() {
	s.mu.Lock()
	defer s.mu.Unlock()
}

// keepGuard is how long a guard is kept that nobody changes: longer than any
// change takes.
const keepGuard = time.Hour

// Sync waits until everything is in the tables that any gateway has written before.
func (s *State) Sync(ctx context.Context) error {
	var tx Tx
	Put(&tx, s.Guards, "sync", &Guard{Changed: s.now().UTC()}, store.Precondition{})
	if err := s.Commit(ctx, &tx); err != nil {
		return err
	}
	return s.CaughtUp(ctx, tx.Revision())
}

// Spent is something that is good once and was used. Its id is [SpentID].
type Spent struct {
	// Until is how long it could be shown otherwise.
	Until time.Time `json:"until"`
	// By tells apart who has used it.
	By string `json:"by,omitempty"`
}

// SpentID returns the id of something that is good once: what it is for, whose it
// is, and its own identifier.
func SpentID(purpose, issuer, id string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", issuer, id))
	return purpose + "/" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// ErrSpent: it was used before.
var ErrSpent = errors.New("it was used before, and it is good once")

// Spend adds to a transaction that something is used: together with what it is
// used for, or not at all. [ErrSpent]: it was used before; of two gateways at
// once, the commit of one fails with [store.ErrConflict].
func (s *State) Spend(tx *Tx, id string, until time.Time) error {
	return s.spend(tx, id, until, "")
}

func (s *State) spend(tx *Tx, id string, until time.Time, by string) error {
	condition := Absent
	if item, ok := s.SpentOnce.Get(id); ok {
		if s.now().Before(item.Value.Until) && (by == "" || by != item.Value.By) {
			return ErrSpent
		}
		condition = Unchanged(item)
	}
	Put(tx, s.SpentOnce, id, &Spent{Until: until.UTC(), By: by}, condition)
	return nil
}

// SpendToken implements [authn.Spender]: of all gateways on the store, and before
// and after a restart, a token is accepted once. One of which it is not known
// whether that was written down is accepted when it is shown here again.
func (s *State) SpendToken(ctx context.Context, issuer, id string, until time.Time) error {
	key := SpentID("token", issuer, id)
	by, unsure := s.unsure.take(key)
	err := s.Again(ctx, func() error {
		var tx Tx
		if err := s.spend(&tx, key, until, by); err != nil {
			return err
		}
		return s.Commit(ctx, &tx)
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrUnavailable), unsure && errors.Is(err, store.ErrConflict):
		s.unsure.keep(key, by)
	case errors.Is(err, ErrSpent), errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%w: the token was used before, and it is accepted once", authn.ErrInvalid)
	}
	return fmt.Errorf("%w: that the token was used cannot be written down: %w", authn.ErrUnavailable, err)
}

// unsure remembers by what this process would know its own records, of which it is
// not known whether they were written: the answer got lost.
type unsure struct {
	mu   sync.Mutex
	mine map[string]string
}

// maxUnsure bounds what is remembered. What is not has to end by itself.
const maxUnsure = 1000

// take returns by what this process knows a record as its own, and whether it may
// be there; each is taken once.
func (u *unsure) take(key string) (by string, maybe bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if by, maybe = u.mine[key]; maybe {
		delete(u.mine, key)
		return by, true
	}
	return rand.Text(), false
}

// keep notes that a record may have been written.
func (u *unsure) keep(key, by string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.mine == nil {
		u.mine = map[string]string{}
	}
	if len(u.mine) < maxUnsure {
		u.mine[key] = by
	}
}
