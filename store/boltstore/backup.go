package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Verify looks at everything in the file, as it is at one moment: at every page,
// at the checksum of every record, and at what the records say of one another.
func (s *Store) Verify(context.Context) (*store.Report, error) {
	const tries = 5
	for range tries {
		var report *store.Report
		err := s.read(func(tx *bbolt.Tx) error {
			// What this transaction sees is not written over while it is open.
			info, err := s.file.Stat()
			if err != nil {
				return err
			}
			report, err = examineAll(s.path, s.file, info.Size(), tx.ID())
			return err
		})
		if errors.Is(err, errMoved) {
			continue // two changes were faster than reading where it begins
		}
		if err == nil && s.there() != nil {
			report.Problems = append(report.Problems, s.there().Error())
		}
		return report, err
	}
	return nil, fmt.Errorf("store %s: %w: it is written to all the time", s.path, store.ErrUnavailable)
}

// VerifyFile does the same with a file that no gateway has open for writing.
func VerifyFile(ctx context.Context, path string) (report *store.Report, err error) {
	s := &Store{path: path}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	db, _, err := library(ctx, path, true) // for the lock
	switch err = s.explain(err); {
	case err == nil:
		defer db.Close()
	case errors.Is(err, store.ErrLocked):
		return nil, err
	}
	return examineAll(path, file, info.Size(), 0)
}

// examineAll makes a report of a file.
func examineAll(path string, file io.ReaderAt, size int64, transaction int) (*store.Report, error) {
	c := newCensus(true)
	report := &store.Report{Where: path, Bytes: size, Realms: []store.RealmReport{}, Problems: []string{}}
	err := inspect(file, size, transaction, c.count)
	if errors.Is(err, errMoved) {
		return nil, err
	}
	report.Format, _ = strconv.Atoi(c.format)
	report.Problems = append(report.Problems, c.problems...)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		report.Problems = append(report.Problems, "the file "+err.Error())
	}
	for _, name := range slices.Sorted(maps.Keys(c.realms)) {
		r := c.realms[name]
		unchecked := r.unchecked
		if report.Format == 1 {
			unchecked += r.documents.count
		}
		report.Realms = append(report.Realms, store.RealmReport{
			Name: name, Changes: r.sequence, Records: r.documents.count - r.deleted, Events: r.entries, Unchecked: unchecked,
		})
	}
	return report, nil
}

// Backup writes a copy of the store, as it is at one moment, into a new file
// (mode 0600), and looks at the copy before it gets its name. It does so also
// when the file was deleted or replaced under the gateway.
func (s *Store) Backup(ctx context.Context, to string) error {
	if dead := s.dead.Load(); dead != nil {
		return *dead
	}
	return copyStore(ctx, to, func(copied *bbolt.DB) error {
		return s.read(func(tx *bbolt.Tx) error { return copyAll(tx, copied) })
	})
}

// BackupFile does the same with a file that no gateway has open for writing.
func BackupFile(ctx context.Context, path, to string) error {
	s := &Store{path: path}
	if err := s.examine(ctx); err != nil {
		return s.explain(err)
	}
	db, _, err := library(ctx, path, true)
	if err != nil {
		return s.explain(err)
	}
	defer db.Close()
	return copyStore(ctx, to, func(copied *bbolt.DB) error {
		return s.explain(guard(func() error {
			return db.View(func(tx *bbolt.Tx) error { return copyAll(tx, copied) })
		}))
	})
}

// copyAll copies all buckets. The library's own Compact does not do for a store
// in use: it writes the last values when what it read them from may be gone.
func copyAll(from *bbolt.Tx, to *bbolt.DB) error {
	c := &copier{to: to}
	err := from.ForEach(func(name []byte, b *bbolt.Bucket) error { return c.bucket([][]byte{name}, b) })
	if c.tx == nil {
		return err
	}
	if err != nil {
		return errors.Join(err, c.tx.Rollback())
	}
	return c.tx.Commit()
}

// copier writes a copy in portions.
type copier struct {
	to    *bbolt.DB
	tx    *bbolt.Tx
	bytes int
}

// portion is how much of a copy is written in one transaction, in bytes.
const portion = 8 << 20

// bucket copies what is in a bucket, and the buckets in it.
func (c *copier) bucket(path [][]byte, b *bbolt.Bucket) error {
	to, err := c.open(path)
	if err != nil {
		return err
	}
	err = b.ForEach(func(k, v []byte) error {
		if v == nil {
			if err := c.bucket(append(path[:len(path):len(path)], k), b.Bucket(k)); err != nil {
				return err
			}
			to, err = c.open(path)
			return err
		}
		if c.bytes += len(k) + len(v); c.bytes > portion {
			if err := c.tx.Commit(); err != nil {
				return err
			}
			c.tx, c.bytes = nil, 0
			if to, err = c.open(path); err != nil {
				return err
			}
		}
		return to.Put(k, v)
	})
	return err
}

// open returns a bucket of the copy, which it makes if need be.
func (c *copier) open(path [][]byte) (b *bbolt.Bucket, err error) {
	if c.tx == nil {
		if c.tx, err = c.to.Begin(true); err != nil {
			return nil, err
		}
	}
	if b, err = c.tx.CreateBucketIfNotExists(path[0]); err != nil {
		return nil, err
	}
	for _, name := range path[1:] {
		if b, err = b.CreateBucketIfNotExists(name); err != nil {
			return nil, err
		}
	}
	b.FillPercent = 1 // keys come in their order
	return b, nil
}

// copyStore makes a file with fill, at a name of its own until it is whole.
func copyStore(ctx context.Context, to string, fill func(*bbolt.DB) error) error {
	folder := filepath.Dir(to)
	file, err := os.CreateTemp(folder, ".state-*.copy") // mode 0600
	if err != nil {
		return err
	}
	name := file.Name()
	defer os.Remove(name)
	if err := file.Close(); err != nil {
		return err
	}
	db, _, err := library(ctx, name, false)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(db), db.Close()); err != nil {
		return err
	}
	report, err := VerifyFile(ctx, name)
	if err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("%w: the copy is not good: %s", store.ErrDamaged, strings.Join(report.Problems, "; "))
	}
	if err := settleName(name, to); err != nil {
		return err
	}
	return syncFolder(folder)
}

// settleName gives a file its name, unless something has it.
func settleName(name, to string) error {
	err := os.Link(name, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) { // a file system without links
		return errors.Join(fs.ErrExist, err)
	}
	return os.Rename(name, to)
}

// Restore puts a good copy in the place of a store that no gateway has open. It
// returns the name that what was there has now, "" if nothing was.
func Restore(ctx context.Context, backup, path string) (replaced string, err error) {
	report, err := VerifyFile(ctx, backup)
	if err != nil {
		return "", err
	}
	if len(report.Problems) > 0 {
		return "", fmt.Errorf("%w: %s: %s", store.ErrDamaged, backup, strings.Join(report.Problems, "; "))
	}
	s := &Store{path: path}
	if _, err := os.Stat(path); err == nil {
		db, _, err := library(ctx, path, true)
		switch err = s.explain(err); {
		case err == nil:
			defer db.Close()
		case errors.Is(err, store.ErrLocked):
			return "", fmt.Errorf("%w: stop the gateway first", err)
		}
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	fresh := filepath.Join(folder, fmt.Sprintf(".state-%d.restored", time.Now().UnixNano()))
	if err := BackupFile(ctx, backup, fresh); err != nil {
		return "", err
	}
	defer os.Remove(fresh)
	if _, err := os.Lstat(path); err == nil {
		replaced = path + time.Now().UTC().Format(".replaced-20060102T150405.000Z")
		if err := os.Rename(path, replaced); err != nil {
			return "", err
		}
	}
	if err := os.Rename(fresh, path); err != nil {
		return replaced, err
	}
	s.mark()
	return replaced, syncFolder(folder)
}

var _ store.Keeper = (*Store)(nil)
