package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

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
	case errors.Is(err, store.ErrFormat):
		return fmt.Errorf("store %s: %w", s.path, err)
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("store %s: %w", s.path, store.ErrLocked)
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return store.ErrClosed
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
