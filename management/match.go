package management

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Match is what the caller expects of a record that is to be changed. The zero
// value expects nothing.
type Match struct {
	Revision uint64 // it has this revision; 0: any
	Exists   bool   // there is one
	Absent   bool   // there is none
}

// check returns an error if a record, 0 for none, is not as expected. Done says
// that the caller has made the change already: see [unsure].
func (x Match) check(revision uint64, done bool) error {
	switch {
	case x.Absent && revision != 0:
		return fail(CodeStale, "it exists already")
	case (x.Exists || x.Revision != 0) && revision == 0:
		return fail(CodeStale, "it does not exist")
	case x.Revision != 0 && x.Revision != revision && !done:
		return fail(CodeStale, "it was changed since you read it")
	}
	return nil
}

// versioned is in every answer that shows a record which has an ETag.
type versioned struct{ revision uint64 }

// Revision is which version of the record an answer shows, for a [Match].
func (v *versioned) Revision() uint64 { return v.revision }

// committed says which version of it a change has made. It is called once the
// change is committed, with what the transaction says: the table may have the
// next writer's by then.
func (v *versioned) committed(revision uint64) { v.revision = revision }

// revised is an answer that has [versioned] in it.
type revised interface {
	Revision() uint64
	committed(revision uint64)
}

// unsure remembers changes of which it is not known whether they were made: the
// store did not answer in time. Whoever asks again with the same If-Match is told
// that it is done, if it was (RFC 9110 §13.1.1 leaves that to the server).
type unsure struct {
	mu      sync.Mutex
	changes map[unsureChange]time.Time // until when it is remembered
}

type unsureChange struct {
	who      state.Actor
	kind, id string
}

const (
	keepUnsure = 10 * time.Minute
	maxUnsure  = 1024
)

func unsureOf(who *Caller, o state.Object) unsureChange {
	actor := who.Actor()
	return unsureChange{state.Actor{Kind: actor.Kind, Name: actor.Name, ID: actor.ID}, o.Kind, o.ID}
}

// add remembers what a change was about that may have been made.
func (u *unsure) add(who *Caller, objects []state.Object, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c, until := range u.changes {
		if now.After(until) {
			delete(u.changes, c)
		}
	}
	for _, o := range objects {
		if len(u.changes) >= maxUnsure {
			return
		}
		if u.changes == nil {
			u.changes = map[unsureChange]time.Time{}
		}
		u.changes[unsureOf(who, o)] = now.Add(keepUnsure)
	}
}

// made reports whether the caller's own change of a record, which is as it is to
// be, is one of those. It is told once.
func (u *unsure) made(who *Caller, o state.Object, same bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	c := unsureOf(who, o)
	_, known := u.changes[c]
	if known && same {
		delete(u.changes, c)
	}
	return known && same
}

// expect returns the revision of a record and the condition that it still is
// as it was read: none of both for a new one.
func expect[T any](item *state.Item[T]) (uint64, store.Precondition) {
	if item == nil {
		return 0, state.Absent
	}
	return item.Revision, state.Unchanged(item)
}

// again retries an operation that failed because somebody else changed what it
// was about at the same time.
func (m *Manager) again(ctx context.Context, do func() error) error { return m.state.Again(ctx, do) }

// mergePatch applies a merge patch (RFC 7396) to the JSON form of a value.
func mergePatch(current any, patch []byte) ([]byte, error) {
	text, err := json.Marshal(current)
	if err != nil {
		return nil, err
	}
	var target, changes any
	if err := json.Unmarshal(text, &target); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &changes); err != nil {
		return nil, fail(CodeMalformed, "the body is not JSON")
	}
	return json.Marshal(merge(target, changes))
}

func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	out, ok := target.(map[string]any)
	if !ok {
		out = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(out, name)
			continue
		}
		out[name] = merge(out[name], value)
	}
	return out
}
