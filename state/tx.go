package state

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Tx is a set of changes that are made together or not at all.
type Tx struct {
	changes []store.Change
	kept    []store.Change
	events  []Event
	err     error

	sequence uint64 // once it is committed
}

// Revision is what the records have as their revision that a transaction wrote,
// once it is committed. What the tables say then may be the next writer's.
func (tx *Tx) Revision() uint64 { return tx.sequence }

// Put writes a record.
func Put[T any](tx *Tx, t *Table[T], id string, value *T, condition store.Precondition) {
	data, err := encode(value)
	if err != nil && tx.err == nil {
		tx.err = fmt.Errorf("%s %q: %w", t.kind, id, err)
	}
	tx.changes = append(tx.changes, store.Change{Key: store.Key{Kind: t.kind, ID: id}, Data: data, If: condition})
}

// Delete removes a record.
func Delete[T any](tx *Tx, t *Table[T], id string, condition store.Precondition) {
	tx.changes = append(tx.changes, store.Change{Key: store.Key{Kind: t.kind, ID: id}, If: condition})
}

// Keep leaves a record as it is: the transaction fails with [store.ErrConflict] if
// it is not what the store has any more. Whatever is answered because of a record,
// without a change of it, is so answered for what is there and not for what this
// gateway has heard. A record that the transaction changes as well is changed.
func Keep[T any](tx *Tx, t *Table[T], item *Item[T]) {
	tx.kept = append(tx.kept, store.Change{Key: store.Key{Kind: t.kind, ID: item.ID}, Keep: true, If: Unchanged(item)})
}

// all are the changes, and what is to be left as it is.
func (tx *Tx) all() []store.Change {
	if len(tx.kept) == 0 {
		return tx.changes
	}
	all, about := slices.Clone(tx.changes), make(map[store.Key]bool, len(tx.changes)+len(tx.kept))
	for _, c := range tx.changes {
		about[c.Key] = true
	}
	for _, c := range tx.kept {
		if !about[c.Key] {
			all, about[c.Key] = append(all, c), true
		}
	}
	return all
}

// Absent is the condition that there is no such record yet.
var Absent = store.Precondition{Absent: true}

// Unchanged is the condition that a record is still as it was read.
func Unchanged[T any](item *Item[T]) store.Precondition {
	return store.Precondition{Revision: item.Revision}
}

// Note adds an audit event to the changes: who did what, with the records
// before and after without their secrets, either of which may be nil.
func (tx *Tx) Note(who Actor, action string, object Object, before, after any) {
	e := Event{Actor: who, Action: action, Object: object}
	for _, side := range []struct {
		from any
		to   *json.RawMessage
	}{{before, &e.Before}, {after, &e.After}} {
		if side.from == nil {
			continue
		}
		raw, err := json.Marshal(side.from)
		if err != nil && tx.err == nil {
			tx.err = fmt.Errorf("audit event %s: %w", action, err)
		}
		*side.to = raw
	}
	tx.events = append(tx.events, e)
}

// Events returns the ids of the audit events of a transaction that was committed,
// or may have been, by what they are about.
func (tx *Tx) Events() map[Object]string {
	ids := make(map[Object]string, len(tx.events))
	for _, e := range tx.events {
		ids[e.Object] = e.ID
	}
	return ids
}

// HasEvent reports whether there is an audit event with an id: whether the change
// was made that it is of.
func (s *State) HasEvent(ctx context.Context, id string) (bool, error) {
	entries, err := s.store.History(ctx, s.realm, id+"~", 1)
	return len(entries) == 1 && entries[0].ID == id, err
}

// Commit makes the changes. When it returns nil they are durable, and this
// process already sees them. A precondition that does not hold is
// [store.ErrConflict]; [store.ErrUnknown] means that it may have been made.
func (s *State) Commit(ctx context.Context, tx *Tx) error {
	if tx.err != nil {
		return tx.err
	}
	if len(tx.changes) == 0 && len(tx.kept) == 0 && len(tx.events) == 0 {
		return nil
	}
	now := s.now()
	entries := make([]store.Entry, len(tx.events))
	for i, e := range tx.events {
		e.ID, e.Time = newEventID(now, i), now.UTC().Truncate(time.Millisecond)
		data, err := encode(&e)
		if err != nil {
			return err
		}
		entries[i] = store.Entry{ID: e.ID, Data: data}
		tx.events[i] = e
	}
	history := s.history()
	sequence, err := s.store.Apply(ctx, s.realm, tx.all(), entries...)
	s.wrote(err)
	if err != nil {
		return err
	}
	tx.sequence = sequence
	batch := store.Batch{Sequence: sequence, Documents: make([]store.Document, len(tx.changes))}
	for i, c := range tx.changes {
		batch.Documents[i] = store.Document{Key: c.Key, Revision: sequence, Data: c.Data}
	}
	s.committed(batch, history)
	if s.options.OnEvent != nil {
		for _, e := range tx.events {
			s.options.OnEvent(e)
		}
	}
	return nil
}

const (
	// tries is how often a change is made that somebody else's gets in the way
	// of; tryAgain is the first wait where it is not known for what.
	tries    = 8
	tryAgain = 15 * time.Millisecond
	// catchUp is how long one waits for the change of another gateway.
	catchUp = time.Second
)

// Again makes a change again that failed because somebody else has changed what
// it is about at the same time. What that was is known before do is called again.
func (s *State) Again(ctx context.Context, do func() error) error {
	for n := 1; ; n++ {
		err := do()
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || n == tries || ctx.Err() != nil {
			return err
		}
		limit := catchUp
		if conflict.Revision == 0 {
			// It was deleted: it is not known with which change.
			conflict.Revision, limit = math.MaxUint64, time.Duration(n)*tryAgain
		}
		wait, cancel := context.WithTimeout(ctx, limit)
		_ = s.CaughtUp(wait, conflict.Revision)
		cancel()
	}
}

// Actor is who changed something.
type Actor struct {
	// Kind: "user", "robot", "workload", "api_key", "bootstrap", "local" (the
	// machine's own administration endpoint) or "system" (the gateway).
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
	// ID is the public id of the credential.
	ID string `json:"id,omitempty"`
	// Remote is the client's address, RequestID that of the access log.
	Remote    string `json:"remote,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// System is the gateway itself.
var System = Actor{Kind: "system"}

// String returns "kind:name".
func (a Actor) String() string {
	if a.Name == "" {
		return a.Kind
	}
	return a.Kind + ":" + a.Name
}

// Object is what was changed.
type Object struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Event is an audit event of administration. Decisions about the registry
// are no events, they go to the log.
type Event struct {
	ID     string    `json:"id"`
	Time   time.Time `json:"time"`
	Actor  Actor     `json:"actor"`
	Action string    `json:"action"` // "robot.create", "user.disable" …
	Object Object    `json:"object"`

	// The record before and after, without secrets and their hashes.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// newEventID returns an id that sorts by time, also within one commit.
func newEventID(now time.Time, n int) string {
	return store.EntryID(now.Add(time.Duration(n)), rand.Text()[:8])
}

// Events returns up to limit events older than the one with the id before,
// newest first; an empty before means from the newest on.
func (s *State) Events(ctx context.Context, before string, limit int) ([]Event, error) {
	entries, err := s.store.History(ctx, s.realm, before, limit)
	if err != nil {
		return nil, err
	}
	events := make([]Event, 0, len(entries))
	for _, entry := range entries {
		e, err := decode[Event](store.Document{Key: store.Key{Kind: "event", ID: entry.ID}, Data: entry.Data})
		if err != nil {
			return nil, fmt.Errorf("reading the audit events: %w", err)
		}
		events = append(events, *e)
	}
	return events, nil
}
