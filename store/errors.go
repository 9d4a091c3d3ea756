package store

import (
	"errors"
	"fmt"
)

// Errors of a [Store].
var (
	// ErrConflict: a precondition does not hold; see [ConflictError].
	ErrConflict = errors.New("the document was changed by somebody else")
	// ErrUnavailable: the store cannot be reached or written at the moment.
	// Whether a change that was under way has been made is then not known.
	ErrUnavailable = errors.New("the store is not available")
	// ErrFull: there is no room for the change, which was not made.
	ErrFull = errors.New("the store is full")
	// ErrReadOnly: the store cannot be written to, whatever the change.
	ErrReadOnly = errors.New("the store is read-only")
	// ErrLocked: another process has the store open, which takes only one.
	ErrLocked = errors.New("the store is in use by another process")
	// ErrFormat: the store was written by a newer version of the program.
	ErrFormat = errors.New("the store's format is newer than this program")
	// ErrGone: the changes asked for are no longer known: load again.
	ErrGone = errors.New("the changes are no longer known")
	// ErrTooLarge: a document is larger than [MaxDocument], or a key is not
	// well formed.
	ErrTooLarge = errors.New("the document is too large or its key not well formed")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("the store is closed")
)

// ConflictError says which document did not meet its precondition.
type ConflictError struct {
	Key
	// Revision that the document has, 0 if there is none.
	Revision uint64
}

func (e *ConflictError) Error() string {
	if e.Revision == 0 {
		return fmt.Sprintf("%s %q: does not exist", e.Kind, e.ID)
	}
	return fmt.Sprintf("%s %q: exists with revision %d", e.Kind, e.ID, e.Revision)
}

// Unwrap returns [ErrConflict].
func (e *ConflictError) Unwrap() error { return ErrConflict }
