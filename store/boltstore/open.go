package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/internal/engine"
)

// Format is the format that this program writes, and the newest that it reads.
const Format = 2

// lockWait is how long another process is waited for where the context has no
// end: a gateway that is being replaced may need a moment to end.
const lockWait = 3 * time.Second

// Open opens the store in a file. If nothing was ever there, it makes the file
// (mode 0600) and its folder (0700). A file that can be read and not written is
// opened for reading: Apply returns [store.ErrReadOnly]. Errors are, besides
// those of [store.Store], [store.ErrLocked] while another process has the file
// until the context ends, [store.ErrFormat], and [store.ErrDamaged] for what is
// no store or not whole.
func Open(ctx context.Context, path string) (*Store, error) {
	s := &Store{path: path, now: time.Now}
	s.group = engine.NewGroup(s.commit)
	if err := s.open(ctx); err != nil {
		if s.db != nil {
			s.db.Close()
		}
		return nil, s.explain(err)
	}
	watch, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.keepLooking(watch)
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	isNew, err := s.begin()
	if err != nil {
		return err
	}
	if err := s.examine(ctx); err != nil {
		return err
	}
	s.db, s.file, err = library(ctx, s.path, false)
	if isReadOnly(err) && !isNew {
		s.db, s.file, err = library(ctx, s.path, true)
	}
	if err != nil {
		return err
	}
	if s.info, err = s.file.Stat(); err != nil {
		return err
	}
	s.length.Store(s.info.Size())
	if err := guard(s.prepare); err != nil {
		return err
	}
	return s.there()
}

// library opens a file that is there with the library, and returns the file
// that it uses. It is the only place that does: on a damaged file the library
// panics, and keeps the lock on it.
func library(ctx context.Context, path string, readOnly bool) (db *bbolt.DB, file *os.File, err error) {
	wait := lockWait
	if deadline, ok := ctx.Deadline(); ok {
		wait = max(time.Until(deadline), time.Millisecond)
	}
	err = guard(func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: wait, FreelistType: bbolt.FreelistMapType, ReadOnly: readOnly,
			OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
				file, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
				return file, err
			},
		})
		return err
	})
	if errors.Is(err, errPanic) {
		_ = file.Close()
		return nil, nil, damaged("%w", err)
	}
	return db, file, err
}

// examine looks at everything in the file before the library does, while no
// other process can write to it.
func (s *Store) examine(ctx context.Context) error {
	db, file, err := library(ctx, s.path, true)
	if err != nil {
		return err
	}
	defer db.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	c := newCensus(false)
	if err := inspect(file, info.Size(), 0, c.count); err != nil {
		return damaged("%w", err)
	}
	if err := c.check(); err != nil {
		return damaged("%w", err)
	}
	return nil
}

// prepare checks that the file is ours, and brings it up to date.
func (s *Store) prepare() error {
	if s.db.IsReadOnly() {
		return s.db.View(checkFormat)
	}
	if s.info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(s.path, 0o600); err != nil {
			return err
		}
	}
	if err := s.db.View(checkFormat); err != nil {
		return err
	}
	old := false
	_ = s.db.View(func(tx *bbolt.Tx) error {
		old = hasFormat1(tx)
		return nil
	})
	if old {
		if err := s.db.Update(upgrade); err != nil {
			return fmt.Errorf("upgrading to format %d: %w", Format, err)
		}
	}
	s.mark()
	return nil
}

// upgrade makes format 2 of format 1.
func upgrade(tx *bbolt.Tx) error {
	err := tx.Bucket(realmsBucket).ForEachBucket(func(name []byte) error {
		r, _ := realmForReading(tx, string(name))
		return upgradeRealm(r)
	})
	if err != nil {
		return err
	}
	return tx.Bucket(metaBucket).Put(formatKey, []byte(strconv.Itoa(Format)))
}

// hasFormat1 reports whether the file was not upgraded yet.
func hasFormat1(tx *bbolt.Tx) bool {
	return string(tx.Bucket(metaBucket).Get(formatKey)) == "1"
}

// checkFormat reports whether this program knows the file's format.
func checkFormat(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil || tx.Bucket(realmsBucket) == nil {
		return damaged("is no store of registry_auth")
	}
	format, err := strconv.Atoi(string(meta.Get(formatKey)))
	switch {
	case err != nil || format < 1:
		return damaged("has no format that makes sense: %q", meta.Get(formatKey))
	case format > Format:
		return fmt.Errorf("%w: it has format %d, and %d is the newest known: update the program, or restore a copy from before", store.ErrFormat, format, Format)
	}
	return nil
}

// damaged is the error of a file that is not what it should be.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: the file %w: restore a backup with `caddy registry-auth state restore`", store.ErrDamaged, fmt.Errorf(format, args...))
}

// explain turns an error of the file into one of [store], and names the file.
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{store.ErrGone, store.ErrTooLarge} {
		if errors.Is(err, known) {
			return err
		}
	}
	kind := store.ErrUnavailable
	switch {
	case errors.Is(err, store.ErrFormat), errors.Is(err, store.ErrDamaged):
		if strings.HasPrefix(err.Error(), "store "+s.path) {
			return err
		}
		return fmt.Errorf("store %s: %w", s.path, err)
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("store %s: %w", s.path, store.ErrLocked)
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return store.ErrClosed
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum), strings.Contains(err.Error(), "file size too small"):
		return s.explain(damaged("is no store: %w", err))
	case isReadOnly(err):
		kind = store.ErrReadOnly
	case isFull(err):
		kind = store.ErrFull
	}
	return fmt.Errorf("store %s: %w: %w", s.path, kind, err)
}

// unsure is the error once a write was answered by an error and was made.
func unsure(path string, err error) error {
	return fmt.Errorf("store %s: %w: the disk failed while it was written to, restart to go on: %v", path, store.ErrUnavailable, err) //nolint:errorlint // its kind does not hold any more
}

func isReadOnly(err error) bool {
	return err != nil && (errors.Is(err, fs.ErrPermission) || errors.Is(err, berrors.ErrDatabaseReadOnly) || is(err, syscall.EROFS))
}

func isFull(err error) bool { return is(err, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG) }

// is also knows errors by their text: bbolt does not wrap those of growing the
// file.
func is(err error, numbers ...syscall.Errno) bool {
	for _, n := range numbers {
		if errors.Is(err, n) || strings.HasSuffix(err.Error(), ": "+n.Error()) {
			return true
		}
	}
	return false
}
