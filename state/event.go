package state

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

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
