// Package terminal makes text from outside fit for a terminal: what servers,
// clients and identity providers say could otherwise move the cursor, hide
// lines, change the title, or answer in the user's name (escape sequences).
package terminal

import (
	"fmt"
	"strings"
	"unicode"
)

// Text returns a text with everything replaced that is not printed, such as
// escape characters and marks that turn the writing direction. Lines stay
// lines.
func Text(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// Line is [Text] for what has to stay on one line.
func Line(text string) string { return strings.ReplaceAll(Text(text), "\n", "?") }

// JSON returns a JSON text in which such characters stand as escapes: it means
// the same, and does nothing to a terminal.
func JSON(text []byte) []byte {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}

// Error returns an error whose text is fit for a terminal; nil stays nil.
func Error(err error) error {
	if err == nil || Text(err.Error()) == err.Error() {
		return err
	}
	return &plain{err}
}

type plain struct{ err error }

func (e *plain) Error() string { return Text(e.err.Error()) }

// Unwrap returns the error as it came.
func (e *plain) Unwrap() error { return e.err }
