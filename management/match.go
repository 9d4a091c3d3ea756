package management

import (
	"context"
	"encoding/json"
	"errors"
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

// check returns an error if a record, 0 for none, is not as expected.
func (x Match) check(revision uint64) error {
	switch {
	case x.Absent && revision != 0:
		return fail(CodeStale, "it exists already")
	case (x.Exists || x.Revision != 0) && revision == 0:
		return fail(CodeStale, "it does not exist")
	case x.Revision != 0 && x.Revision != revision:
		return fail(CodeStale, "it was changed since you read it")
	}
	return nil
}

// expect returns the revision of a record and the condition that it still is
// as it was read: none of both for a new one.
func expect[T any](item *state.Item[T]) (uint64, store.Precondition) {
	if item == nil {
		return 0, state.Absent
	}
	return item.Revision, state.Unchanged(item)
}

// Tries of a change that somebody else's gets in the way of. Another gateway's
// change takes a moment until it is known here.
const tries = 8

// tryAgain is the first wait; tests do not wait.
var tryAgain = 15 * time.Millisecond

// again retries an operation that failed because somebody else changed
// what it was about at the same time.
func again(ctx context.Context, do func() error) error {
	for n := 1; ; n++ {
		err := do()
		if !errors.Is(err, store.ErrConflict) || n == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(n) * tryAgain):
		}
	}
}

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
