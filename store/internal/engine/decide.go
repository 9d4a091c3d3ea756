// Package engine is what all stores have in common: what is well formed, which
// changes may be made, calls that share a transaction, and waiting for changes.
package engine

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Call is one Apply on its way into a store.
type Call struct {
	Changes []store.Change
	History []store.Entry

	// Sequence and Err are the answer, once the commit has succeeded.
	Sequence uint64
	Err      error

	realm string
	done  chan struct{}
}

// Writes is what a number of calls come to.
type Writes struct {
	// Sequence is the realm's new number; the old one if no document changes.
	Sequence uint64
	// Mark is what the store notes for the new number, 0 if there is none.
	Mark uint64
	// Documents to be written, by revision, each once; without Data they are
	// to be marked as deleted.
	Documents []store.Document
	// History to be appended, save what is there already.
	History []store.Entry
}

// Decide answers calls on a realm in their order, each by its preconditions
// and what the ones before have changed. sequence is the realm's last number,
// and revision returns that of a stored document, 0 if there is none. The
// answers hold if the writes are committed.
func Decide(sequence uint64, calls []*Call, revision func(store.Key) (uint64, error)) (Writes, error) {
	w := Writes{Sequence: sequence}
	written := map[store.Key]store.Document{}
	current := func(k store.Key) (uint64, error) {
		d, ok := written[k]
		switch {
		case !ok:
			return revision(k)
		case d.Data == nil:
			return 0, nil
		}
		return d.Revision, nil
	}
	for _, call := range calls {
		var effective []store.Change
		call.Err = nil
		for _, c := range call.Changes {
			found, err := current(c.Key)
			if err != nil {
				return w, err
			}
			if c.If.Absent && found != 0 || c.If.Revision != 0 && found != c.If.Revision {
				call.Err = &store.ConflictError{Key: c.Key, Revision: found}
				break
			}
			if !c.Keep && (c.Data != nil || found != 0) {
				effective = append(effective, c)
			}
		}
		if call.Err != nil {
			continue
		}
		if len(effective) > 0 {
			w.Sequence++
		}
		for _, c := range effective {
			d := store.Document{Key: c.Key, Revision: w.Sequence, Data: c.Data}
			written[c.Key] = d
			w.Documents = append(w.Documents, d)
		}
		w.History = append(w.History, call.History...)
		call.Sequence = w.Sequence
	}
	w.Documents = last(w.Documents, written)
	if w.Sequence != sequence {
		w.Mark = NewMark()
	}
	return w, nil
}

// last leaves of each document only its last state.
func last(documents []store.Document, state map[store.Key]store.Document) []store.Document {
	if len(documents) == len(state) {
		return documents
	}
	kept := documents[:0]
	for _, d := range documents {
		if state[d.Key].Revision == d.Revision {
			kept = append(kept, d)
		}
	}
	return kept
}

const (
	maxName = 255 // bytes of a realm's or kind's name
	maxID   = 512 // bytes of a document's or entry's id
)

// Check reports what of an Apply is not well formed; it wraps
// [store.ErrTooLarge].
func Check(realm string, changes []store.Change, history []store.Entry) error {
	if err := CheckRealm(realm); err != nil {
		return err
	}
	seen := make(map[store.Key]struct{}, len(changes))
	for _, c := range changes {
		if err := checkKey(c.Key); err != nil {
			return err
		}
		if len(c.Data) > store.MaxDocument {
			return malformed("%s %q: %d bytes, want at most %d", c.Kind, c.ID, len(c.Data), store.MaxDocument)
		}
		if _, twice := seen[c.Key]; twice {
			return malformed("%s %q: changed twice at once", c.Kind, c.ID)
		}
		seen[c.Key] = struct{}{}
	}
	for _, e := range history {
		if err := checkText(e.ID, maxID); err != nil {
			return malformed("history entry %q: id: %w", shorten(e.ID), err)
		}
		if len(e.Data) > store.MaxDocument {
			return malformed("history entry %q: %d bytes, want at most %d", e.ID, len(e.Data), store.MaxDocument)
		}
	}
	return nil
}

// CheckRealm reports whether a realm's name is well formed.
func CheckRealm(realm string) error {
	if err := checkText(realm, maxName); err != nil {
		return malformed("realm %q: %w", shorten(realm), err)
	}
	return nil
}

func checkKey(k store.Key) error {
	if k.Kind == "" || len(k.Kind) > maxName || strings.Trim(k.Kind, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return malformed("kind %q: want lower-case letters, digits and _", shorten(k.Kind))
	}
	if err := checkText(k.ID, maxID); err != nil {
		return malformed("%s %q: id: %w", k.Kind, shorten(k.ID), err)
	}
	return nil
}

func checkText(s string, limit int) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case len(s) > limit:
		return fmt.Errorf("%d bytes, want at most %d", len(s), limit)
	case !utf8.ValidString(s):
		return errors.New("is not UTF-8")
	case strings.Contains(s, "\x00"):
		return errors.New("contains NUL")
	}
	return nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", store.ErrTooLarge, fmt.Errorf(format, args...))
}

// shorten keeps what is too long out of messages.
func shorten(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
