package boltstore

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/internal/engine"
)

// The buckets of the file, format 2:
//
//	meta                      "format" → decimal number
//	realms/<realm>            "sequence", "trimmed" → 8 bytes
//	realms/<realm>/documents  kind NUL id → revision, time of deletion or 0, checksum, data
//	realms/<realm>/revisions  revision, kind NUL id → nothing
//	realms/<realm>/history    id → 0, checksum, data
//	realms/<realm>/marks      sequence → mark
//
// Numbers have 8 bytes, the highest first; times are Unix seconds. A document
// with a time of deletion has no data. Checksums have 4 bytes and are of
// everything else of the record, its key included; the highest bit of the time
// says that there is one. Format 1 had neither checksums nor marks: its history
// stays as it is, and begins with no 0, since it is JSON.
var (
	metaBucket      = []byte("meta")
	realmsBucket    = []byte("realms")
	documentsBucket = []byte("documents")
	revisionsBucket = []byte("revisions")
	historyBucket   = []byte("history")
	marksBucket     = []byte("marks")

	formatKey   = []byte("format")
	sequenceKey = []byte("sequence")
	trimmedKey  = []byte("trimmed")
)

// header is what comes before a document's data in format 1, and checked what
// does in format 2.
const (
	header  = 16
	checked = header + 4
)

// withChecksum is the bit of a document's time that says that a checksum
// follows.
const withChecksum = 1 << 63

// entryHeader is what comes before the data of a history entry.
const entryHeader = 5

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// realm is a realm's part of the file within a transaction. The zero value is
// one without anything, which can be read.
type realm struct {
	bucket, documents, revisions, history, marks bucket
	// unchecked: the file has format 1 and cannot be written to.
	unchecked bool
}

// bucket is a bucket that may not be there.
type bucket struct{ *bbolt.Bucket }

func (b bucket) Get(key []byte) []byte {
	if b.Bucket == nil {
		return nil
	}
	return b.Bucket.Get(key)
}

func (b bucket) ForEach(f func(k, v []byte) error) error {
	if b.Bucket == nil {
		return nil
	}
	return b.Bucket.ForEach(f)
}

func realmForReading(tx *bbolt.Tx, name string) (realm, bool) {
	realms := tx.Bucket(realmsBucket)
	if realms == nil {
		return realm{}, false
	}
	b := realms.Bucket([]byte(name))
	if b == nil {
		return realm{}, false
	}
	inner := func(name []byte) bucket { return bucket{b.Bucket(name)} }
	return realm{bucket{b}, inner(documentsBucket), inner(revisionsBucket), inner(historyBucket), inner(marksBucket), hasFormat1(tx)}, true
}

func realmForWriting(tx *bbolt.Tx, name string) (realm, error) {
	if r, ok := realmForReading(tx, name); ok {
		return r, nil
	}
	b, err := tx.Bucket(realmsBucket).CreateBucket([]byte(name))
	if err != nil {
		return realm{}, err
	}
	for _, inner := range [][]byte{documentsBucket, revisionsBucket, historyBucket, marksBucket} {
		if _, err := b.CreateBucket(inner); err != nil {
			return realm{}, err
		}
	}
	r, _ := realmForReading(tx, name)
	return r, nil
}

// number returns one of the realm's numbers, 0 if it was never set.
func (r realm) number(key []byte) uint64 {
	if v := r.bucket.Get(key); len(v) == 8 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// mark returns what was drawn for a sequence number, 0 if that is not known.
func (r realm) mark(sequence uint64) uint64 {
	if v := r.marks.Get(number(sequence)); len(v) == 8 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// position is where the realm is now.
func (r realm) position() store.Position {
	sequence := r.number(sequenceKey)
	return store.Position{Sequence: sequence, Mark: r.mark(sequence)}
}

// revision returns that of a document, 0 if there is none.
func (r realm) revision(k store.Key) (uint64, error) {
	key := documentKey(k)
	v := r.documents.Get(key)
	if v == nil {
		return 0, nil
	}
	d, _, err := r.decode(key, v)
	if err != nil || d.Data == nil {
		return 0, err
	}
	return d.Revision, nil
}

func (r realm) write(w engine.Writes, now time.Time) error {
	if w.Sequence != r.number(sequenceKey) {
		if err := r.bucket.Put(sequenceKey, number(w.Sequence)); err != nil {
			return err
		}
		if err := r.marks.Put(number(w.Sequence), number(w.Mark)); err != nil {
			return err
		}
	}
	for _, d := range w.Documents {
		key := documentKey(d.Key)
		if old := r.documents.Get(key); len(old) >= header {
			if err := r.revisions.Delete(append(bytes.Clone(old[:8]), key...)); err != nil {
				return err
			}
		}
		if err := r.documents.Put(key, encode(d, now)); err != nil {
			return err
		}
		if err := r.revisions.Put(append(number(d.Revision), key...), nil); err != nil {
			return err
		}
	}
	for _, e := range w.History {
		if r.history.Get([]byte(e.ID)) != nil {
			continue
		}
		if err := r.history.Put([]byte(e.ID), encodeEntry(e)); err != nil {
			return err
		}
	}
	return nil
}

// since returns what changed after a number, by revision.
func (r realm) since(after uint64) (documents []store.Document, err error) {
	if r.revisions.Bucket == nil {
		return nil, nil
	}
	c := r.revisions.Cursor()
	for k, _ := c.Seek(number(after + 1)); k != nil; k, _ = c.Next() {
		key := k[8:]
		d, _, err := r.decode(key, r.documents.Get(key))
		if err != nil {
			return nil, err
		}
		documents = append(documents, d)
	}
	return documents, nil
}

// page returns entries before an id, newest first.
func (r realm) page(before string, limit int) (entries []store.Entry, err error) {
	if r.history.Bucket == nil {
		return nil, nil
	}
	c := r.history.Cursor()
	k, v := c.Last()
	if before != "" {
		if at, _ := c.Seek([]byte(before)); at != nil {
			k, v = c.Prev()
		} else {
			k, v = c.Last()
		}
	}
	for ; k != nil && len(entries) < limit; k, v = c.Prev() {
		e, err := decodeEntry(k, v)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// trim forgets history before an id and documents deleted before a time.
func (r realm) trim(before string, deleted time.Time) error {
	if err := r.trimMarks(); err != nil {
		return err
	}
	c := r.history.Cursor()
	for k, _ := c.First(); k != nil && string(k) < before; k, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	var gone [][]byte
	trimmed := r.number(trimmedKey)
	err := r.documents.ForEach(func(k, v []byte) error {
		d, at, err := r.decode(k, v)
		if err == nil && d.Data == nil && at.Before(deleted) {
			gone = append(gone, append(number(d.Revision), k...))
			trimmed = max(trimmed, d.Revision)
		}
		return err
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	for _, k := range gone {
		if err := r.revisions.Delete(k); err != nil {
			return err
		}
		if err := r.documents.Delete(k[8:]); err != nil {
			return err
		}
	}
	return r.bucket.Put(trimmedKey, number(trimmed))
}

// trimMarks forgets the marks of changes that are long ago.
func (r realm) trimMarks() error {
	sequence := r.number(sequenceKey)
	c := r.marks.Cursor()
	for k, _ := c.First(); len(k) == 8 && binary.BigEndian.Uint64(k)+engine.KeepMarks < sequence; k, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func documentKey(k store.Key) []byte { return []byte(k.Kind + "\x00" + k.ID) }

func encode(d store.Document, now time.Time) []byte {
	return encodeAt(d, uint64(now.Unix()))
}

// encodeAt is encode with the time of deletion, which counts if there is no
// data.
func encodeAt(d store.Document, deleted uint64) []byte {
	v := make([]byte, checked, checked+len(d.Data))
	binary.BigEndian.PutUint64(v, d.Revision)
	if d.Data != nil {
		deleted = 0
	}
	binary.BigEndian.PutUint64(v[8:], deleted|withChecksum)
	v = append(v, d.Data...)
	binary.BigEndian.PutUint32(v[header:], checksum(documentKey(d.Key), v[:header], v[checked:]))
	return v
}

// checksum is that of a record, from its parts.
func checksum(parts ...[]byte) (sum uint32) {
	for _, part := range parts {
		sum = crc32.Update(sum, castagnoli, part)
	}
	return sum
}

// decode returns a stored document of the realm, and when it was deleted if it
// was. The data is a copy.
func (r realm) decode(k, v []byte) (store.Document, time.Time, error) {
	if !r.unchecked {
		return decode(k, v)
	}
	d, deleted, err := decodeUnchecked(k, v)
	if d.Data = bytes.Clone(d.Data); deleted != 0 {
		return d, time.Unix(int64(deleted), 0), err
	}
	return d, time.Time{}, err
}

// decode returns a stored document, and when it was deleted if it was. The
// data is a copy.
func decode(k, v []byte) (d store.Document, deleted time.Time, err error) {
	kind, id, ok := strings.Cut(string(k), "\x00")
	if !ok || len(v) < checked || v[8]&0x80 == 0 || binary.BigEndian.Uint32(v[header:]) != checksum(k, v[:header], v[checked:]) {
		return d, deleted, damaged("has a record %q that is not what was written", strings.ReplaceAll(string(k), "\x00", " "))
	}
	d = store.Document{Key: store.Key{Kind: kind, ID: id}, Revision: binary.BigEndian.Uint64(v)}
	if at := binary.BigEndian.Uint64(v[8:]) &^ withChecksum; at != 0 {
		return d, time.Unix(int64(at), 0), nil
	}
	d.Data = append([]byte{}, v[checked:]...)
	return d, deleted, nil
}

func encodeEntry(e store.Entry) []byte {
	v := make([]byte, entryHeader, entryHeader+len(e.Data))
	binary.BigEndian.PutUint32(v[1:], checksum([]byte(e.ID), e.Data))
	return append(v, e.Data...)
}

// decodeEntry returns a stored history entry. The data is a copy.
func decodeEntry(k, v []byte) (store.Entry, error) {
	e := store.Entry{ID: string(k), Data: bytes.Clone(v)}
	if len(v) == 0 || v[0] != 0 {
		return e, nil // of format 1
	}
	if len(v) < entryHeader || binary.BigEndian.Uint32(v[1:]) != checksum(k, v[entryHeader:]) {
		return e, damaged("has a history entry %q that is not what was written", k)
	}
	e.Data = append([]byte{}, v[entryHeader:]...)
	return e, nil
}

// upgradeRealm gives the documents of format 1 checksums, and the last change
// of a realm a mark.
func upgradeRealm(r realm) error {
	var err error
	if r.marks.Bucket, err = r.bucket.CreateBucketIfNotExists(marksBucket); err != nil {
		return err
	}
	if sequence := r.number(sequenceKey); sequence > 0 {
		if err := r.marks.Put(number(sequence), number(engine.NewMark())); err != nil {
			return err
		}
	}
	old := map[string][]byte{}
	err = r.documents.ForEach(func(k, v []byte) error {
		d, deleted, err := decodeUnchecked(k, v)
		old[string(k)] = encodeAt(d, deleted)
		return err
	})
	if err != nil {
		return err
	}
	for k, v := range old {
		if err := r.documents.Put([]byte(k), v); err != nil {
			return err
		}
	}
	return nil
}

// decodeUnchecked is decode for a document of format 1, which has no checksum.
func decodeUnchecked(k, v []byte) (d store.Document, deleted uint64, err error) {
	kind, id, ok := strings.Cut(string(k), "\x00")
	if !ok || len(v) < header || v[8]&0x80 != 0 {
		return d, 0, damaged("has a record %q that is not what was written", strings.ReplaceAll(string(k), "\x00", " "))
	}
	d = store.Document{Key: store.Key{Kind: kind, ID: id}, Revision: binary.BigEndian.Uint64(v)}
	if deleted = binary.BigEndian.Uint64(v[8:]); deleted == 0 {
		d.Data = v[header:] // empty, not nil, where there is nothing
	}
	return d, deleted, nil
}
