package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// marker is the file beside a store which says that there was one: without it
// a store that got lost looks like one that was never made.
func marker(path string) string { return path + ".made" }

const markerText = `The store %s was made here, on %s or before.
While this file is there, a start without the store is refused: its records are
not given up without a word. To begin with an empty store, delete this file, too.
`

// mark makes the marker. Without it the store works as well.
func (s *Store) mark() {
	if _, err := os.Stat(marker(s.path)); errors.Is(err, fs.ErrNotExist) {
		text := fmt.Sprintf(markerText, filepath.Base(s.path), time.Now().UTC().Format(time.DateOnly))
		_ = os.WriteFile(marker(s.path), []byte(text), 0o600)
	}
}

// begin looks for the file. Where none was ever made it makes one: at a name of
// its own first, so that a crash leaves a whole file or none.
func (s *Store) begin() (isNew bool, err error) {
	info, err := os.Stat(s.path)
	switch {
	case err == nil && info.Mode().IsRegular() && info.Size() == 0:
		return false, fmt.Errorf("%w: the file is empty, which no store ever is: restore a backup with `caddy registry-auth state restore`, or delete the file to begin with an empty store", store.ErrDamaged)
	case err == nil && !info.Mode().IsRegular():
		return false, fmt.Errorf("%w: this is no file (%s)", store.ErrDamaged, info.Mode().Type())
	case err == nil:
		return false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if _, err := os.Stat(marker(s.path)); err == nil {
		return false, fmt.Errorf("%w: the file is gone, which was made here: put it back, or restore a backup with `caddy registry-auth state restore`; to begin with an empty store, delete %s", store.ErrDamaged, marker(s.path))
	}
	folder := filepath.Dir(s.path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return false, err
	}
	fresh, err := newFile(folder)
	if err != nil {
		return false, err
	}
	defer os.Remove(fresh)
	if err := os.Link(fresh, s.path); err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links. Of two processes that are here at the
		// same moment, the second takes the place of the first, which sees it.
		if err := os.Rename(fresh, s.path); err != nil {
			return false, err
		}
	}
	return true, syncFolder(folder)
}

// newFile makes an empty store of a name of its own.
func newFile(folder string) (name string, err error) {
	file, err := os.CreateTemp(folder, ".state-*.new") // mode 0600
	if err != nil {
		return "", err
	}
	name = file.Name()
	defer func() {
		if err != nil {
			os.Remove(name)
		}
	}()
	if err := file.Close(); err != nil {
		return "", err
	}
	db, _, err := library(context.Background(), name, false)
	if err != nil {
		return "", err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucket(realmsBucket); err != nil {
			return err
		}
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		return meta.Put(formatKey, []byte(strconv.Itoa(Format)))
	})
	return name, errors.Join(err, db.Close())
}

// there reports whether the path still leads to the file that is open, at its
// full length.
func (s *Store) there() error {
	info, err := os.Stat(s.path)
	var what string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		what = "was deleted or moved away"
	case err != nil:
		return s.explain(err)
	case !os.SameFile(info, s.info):
		what = "was replaced by another"
	case info.Size() < s.length.Load():
		what = fmt.Sprintf("was cut off from %d to %d bytes", s.length.Load(), info.Size())
	default:
		return nil
	}
	return s.explain(fmt.Errorf("%w: the file %s while the gateway has it open, and nothing is written any more: save what the gateway knows with `caddy registry-auth state backup`, stop it, and put a good file in place with `caddy registry-auth state restore`", store.ErrDamaged, what))
}

// lookEvery is how often it is looked whether the file is still there.
const lookEvery = time.Second

// keepLooking lets watchers know when the file is lost.
func (s *Store) keepLooking(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.there() != nil {
			s.bell.Ring()
		}
	}
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
