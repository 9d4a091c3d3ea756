// Package store says how what changes at run time is kept: as small versioned
// documents by realm, kind and id, which are all in memory and written through.
// A [Store] knows three verbs for them, Load, Apply and Watch, and a history
// that is only appended to and read in pages.
//
// Implementations are in the folders below: boltstore (one file), pgstore
// (PostgreSQL, for several gateways), memstore (tests and throw-away gateways)
// and faultstore (tests); storetest is the suite that all of them pass.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Store keeps documents. Implementations are safe for concurrent use. Errors
// wrap one of the errors of this package; one that ends with its context wraps
// [ErrUnavailable] and the context's error.
//
// Data is shared, not copied: neither who gives it to a store nor who gets it
// from one changes it.
type Store interface {
	// Load returns every document of a realm and the position up to which
	// changes are in them. Documents come in no particular order.
	Load(ctx context.Context, realm string) (documents []Document, at Position, err error)

	// Apply makes all changes, and appends all entries to the history, or
	// does nothing: a precondition that does not hold is a [ConflictError].
	// When it returns nil, the changes survive the end of the process and of
	// the machine. It returns the sequence number of the changes, which is
	// the Revision of every document that it wrote. All changes are of one
	// realm and concern different documents. If nothing is left to be changed,
	// there is no new number: it returns the last one. An entry whose id the
	// history has already is left as it is, so that trying again is safe.
	Apply(ctx context.Context, realm string, changes []Change, history ...Entry) (sequence uint64, err error)

	// Watch calls deliver with every change of a realm after a position,
	// this process's own among them, in the order of their sequence
	// numbers, until ctx is done (nil) or the store fails. Of a document that
	// changed several times since, only the last state is certain to be
	// delivered. It returns [ErrGone] if changes since then are no longer
	// known, and [ErrRestored] if the position is not one of the store's
	// history: load again. A change reaches deliver
	// in less than a second. deliver is called once at the beginning, as soon
	// as the store was reached, with a batch without documents if nothing has
	// changed; it is never called concurrently and must be quick.
	Watch(ctx context.Context, realm string, after Position, deliver func(Batch)) error

	// History returns up to limit entries of a realm with an id lower than
	// before, newest first; an empty before means from the newest on.
	History(ctx context.Context, realm, before string, limit int) ([]Entry, error)

	// Trim removes history entries with an id lower than before, and what is
	// kept of documents that were deleted longer than an hour ago.
	Trim(ctx context.Context, realm, before string) error

	// Close releases files and connections. It ends every Watch with nil.
	Close() error
}

// Position is a point in the history of a realm. A store that was restored
// from an older copy, and written to since, has the numbers of before again
// for other changes: the mark tells the two histories apart.
type Position struct {
	// Sequence is the number of the last change.
	Sequence uint64
	// Mark is a random number that was drawn when that change was made. 0
	// where none is known, which matches every mark.
	Mark uint64
}

// Key names a document within a realm.
type Key struct {
	Kind string // "robot", "token" …: lower-case letters, digits and "_"
	ID   string // any UTF-8 text without NUL, 1 to 512 bytes
}

// Document is a stored document.
type Document struct {
	Key
	// Revision is the sequence number of the change that wrote it. It never
	// goes back, also where a document is deleted and made again.
	Revision uint64
	// Data is what was written; nil, in a [Batch], if it was deleted.
	Data []byte
}

// Change writes or deletes one document, or wants it to be left as it is.
type Change struct {
	Key
	Data []byte // nil deletes, empty does not; deleting what is not there changes nothing
	Keep bool   // the document stays as it is, and the change only holds if If does
	If   Precondition
}

// Precondition is what must hold for a change. The zero value always does.
type Precondition struct {
	Absent   bool   // there is no such document
	Revision uint64 // the document has this revision; 0 is no condition
}

// Batch is what one Apply changed, or several of them in one go, never a part
// of one.
type Batch struct {
	Documents []Document // by Revision, each of another key
	Sequence  uint64     // of the last change
	Mark      uint64     // of the same: see [Position]
}

// Position is where in the history the batch ends.
func (b Batch) Position() Position { return Position{Sequence: b.Sequence, Mark: b.Mark} }

// Entry is an entry of the history. Ids sort by time: see [EntryID].
type Entry struct {
	ID   string
	Data []byte
}

// MaxDocument is how large a document may be, in bytes.
const MaxDocument = 1 << 20

// EntryID returns the id of a history entry: the time in UTC to the
// nanosecond, in a form that sorts, and a tail that makes it unique.
func EntryID(t time.Time, tail string) string {
	return t.UTC().Format("20060102T150405.000000000Z") + "-" + tail
}

// Opener is implemented by the Caddy modules of stores.
type Opener interface {
	// OpenStore opens the store. It may be called again after an error that
	// wraps [ErrUnavailable].
	OpenStore(ctx context.Context) (Store, error)
	// StoreKey says which store it is, without secrets: two configurations
	// with the same key share it, so that a reload leaves it open.
	StoreKey() string
}

// Sharer is implemented by an Opener whose store several gateways may have
// open at a time. What one of them holds in memory is then not enough.
type Sharer interface{ Shared() bool }

// Keeper is implemented by a Store that can copy and check all that it keeps
// while it is in use.
type Keeper interface {
	// Backup writes a copy of everything, as it is at one moment, into a new
	// file.
	Backup(ctx context.Context, to string) error
	// Verify looks at everything. Its error says that it could not.
	Verify(ctx context.Context) (*Report, error)
}

// Report is what was found in a store.
type Report struct {
	Where  string        `json:"where"`
	Bytes  int64         `json:"bytes"`
	Format int           `json:"format"`
	Realms []RealmReport `json:"realms"`
	// Problems are what is wrong; there are none in a good store.
	Problems []string `json:"problems"`
}

// RealmReport is what was found of a realm.
type RealmReport struct {
	Name    string `json:"name"`
	Changes uint64 `json:"changes"` // the number of the last one
	Records int    `json:"records"`
	Events  int    `json:"events"` // of the history
	// Unchecked are the records without a checksum, of an earlier version.
	Unchecked int `json:"unchecked"`
}

// Errors of a [Store].
var (
	// ErrConflict: a precondition does not hold; see [ConflictError].
	ErrConflict = errors.New("the document was changed by somebody else")
	// ErrUnavailable: the store cannot be reached or written at the moment.
	// A change that it answers was not made, unless it is [ErrUnknown].
	ErrUnavailable = errors.New("the store is not available")
	// ErrUnknown: the answer to a change was lost. It may have been made, and
	// it may still be. It is an [ErrUnavailable] as well.
	ErrUnknown = fmt.Errorf("it is not known whether the change was made: %w", ErrUnavailable)
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
	// ErrRestored: the store has another history than the one asked about, as
	// after a restore: load again, and take what is older, too. It is an
	// [ErrGone] as well.
	ErrRestored = fmt.Errorf("the store has another history, as after a restore: %w", ErrGone)
	// ErrDamaged: what is stored is not what was written, or is not there.
	ErrDamaged = errors.New("the store is damaged")
	// ErrStale: nothing was heard from the store for longer than what it says
	// may be trusted.
	ErrStale = errors.New("nothing was heard from the store for too long")
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
