package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
const Format = 1

// lockWait is how long another process is waited for: a gateway that is being
// replaced may need a moment to end.
const lockWait = 3 * time.Second

// Open opens the store in a file, making it (mode 0600) and its folder (0700)
// if they are not there. A file that can be read and not written is opened for
// reading: Apply returns [store.ErrReadOnly]. Errors are, besides those of
// [store.Store], [store.ErrLocked] and [store.ErrFormat].
func Open(path string) (*Store, error) {
	s := &Store{path: path, now: time.Now}
	s.group = engine.NewGroup(s.commit)
	_, err := os.Stat(path) //nolint:gosec // the configuration says which file
	isNew := errors.Is(err, fs.ErrNotExist)
	if isNew {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil { //nolint:gosec // as above
			return nil, s.explain(err)
		}
	}
	s.db, err = bbolt.Open(path, 0o600, options(false))
	if isReadOnly(err) && !isNew {
		s.db, err = bbolt.Open(path, 0o600, options(true))
	}
	if err != nil {
		return nil, s.explain(err)
	}
	if err := s.prepare(isNew); err != nil {
		s.db.Close()
		return nil, s.explain(err)
	}
	return s, nil
}

func options(readOnly bool) *bbolt.Options {
	return &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType, ReadOnly: readOnly}
}

// prepare makes a new file ours and checks that an old one is.
func (s *Store) prepare(isNew bool) error {
	if s.db.IsReadOnly() {
		return s.db.View(checkFormat)
	}
	if info, err := os.Stat(s.path); err != nil {
		return err
	} else if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(s.path, 0o600); err != nil {
			return err
		}
	}
	written := false
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if first, _ := tx.Cursor().First(); first != nil {
			return checkFormat(tx)
		}
		written = true
		if _, err := tx.CreateBucket(realmsBucket); err != nil {
			return err
		}
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		return meta.Put(formatKey, []byte(strconv.Itoa(Format)))
	})
	if err != nil || !isNew && !written {
		return err
	}
	return syncFolder(filepath.Dir(s.path))
}

// checkFormat reports whether this program knows the file's format.
func checkFormat(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil || tx.Bucket(realmsBucket) == nil {
		return errors.New("is no store of registry_auth")
	}
	format, err := strconv.Atoi(string(meta.Get(formatKey)))
	switch {
	case err != nil || format < 1:
		return fmt.Errorf("has no format that makes sense: %q", meta.Get(formatKey))
	case format > Format:
		return fmt.Errorf("%w: it has format %d, and %d is the newest known: update the program, or restore a copy from before", store.ErrFormat, format, Format)
	}
	return nil
}

// syncFolder makes a new file's name as durable as its content.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
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
