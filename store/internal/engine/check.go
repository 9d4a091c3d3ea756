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
