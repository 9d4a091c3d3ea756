package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/internal/engine"
)

// The buckets of the file, format 1:
//
//	meta                      "format" → decimal number
//	realms/<realm>            "sequence", "trimmed" → 8 bytes
//	realms/<realm>/documents  kind NUL id → revision, time of deletion or 0, data
//	realms/<realm>/revisions  revision, kind NUL id → nothing
//	realms/<realm>/history    id → data
//
// Numbers have 8 bytes, the highest first; times are Unix seconds. A document
// with a time of deletion has no data.
var (
	metaBucket      = []byte("meta")
	realmsBucket    = []byte("realms")
	documentsBucket = []byte("documents")
	revisionsBucket = []byte("revisions")
	historyBucket   = []byte("history")

	formatKey   = []byte("format")
	sequenceKey = []byte("sequence")
	trimmedKey  = []byte("trimmed")
)

// header is what comes before a document's data.
const header = 16

// realm is a realm's part of the file within a transaction. The zero value is
// one without anything, which can be read.
type realm struct {
	bucket, documents, revisions, history bucket
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
	return realm{bucket{b}, bucket{b.Bucket(documentsBucket)}, bucket{b.Bucket(revisionsBucket)}, bucket{b.Bucket(historyBucket)}}, true
}

func realmForWriting(tx *bbolt.Tx, name string) (realm, error) {
	if r, ok := realmForReading(tx, name); ok {
		return r, nil
	}
	b, err := tx.Bucket(realmsBucket).CreateBucket([]byte(name))
	if err != nil {
		return realm{}, err
	}
	for _, inner := range [][]byte{documentsBucket, revisionsBucket, historyBucket} {
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

// revision returns that of a document, 0 if there is none.
func (r realm) revision(k store.Key) (uint64, error) {
	key := documentKey(k)
	v := r.documents.Get(key)
	if v == nil {
		return 0, nil
	}
	d, _, err := decode(key, v)
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
		if err := r.history.Put([]byte(e.ID), e.Data); err != nil {
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
		d, _, err := decode(key, r.documents.Get(key))
		if err != nil {
			return nil, err
		}
		documents = append(documents, d)
	}
	return documents, nil
}

// page returns entries before an id, newest first.
func (r realm) page(before string, limit int) (entries []store.Entry) {
	if r.history.Bucket == nil {
		return nil
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
		entries = append(entries, store.Entry{ID: string(k), Data: bytes.Clone(v)})
	}
	return entries
}

// trim forgets history before an id and documents deleted before a time.
func (r realm) trim(before string, deleted time.Time) error {
	c := r.history.Cursor()
	for k, _ := c.First(); k != nil && string(k) < before; k, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	var gone [][]byte
	trimmed := r.number(trimmedKey)
	err := r.documents.ForEach(func(k, v []byte) error {
		d, at, err := decode(k, v)
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

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func documentKey(k store.Key) []byte { return []byte(k.Kind + "\x00" + k.ID) }

func encode(d store.Document, now time.Time) []byte {
	v := make([]byte, header, header+len(d.Data))
	binary.BigEndian.PutUint64(v, d.Revision)
	if d.Data == nil {
		binary.BigEndian.PutUint64(v[8:], uint64(now.Unix()))
	}
	return append(v, d.Data...)
}

// decode returns a stored document, and when it was deleted if it was. The
// data is a copy.
func decode(k, v []byte) (d store.Document, deleted time.Time, err error) {
	kind, id, ok := strings.Cut(string(k), "\x00")
	if !ok || len(v) < header {
		return d, deleted, fmt.Errorf("document %q is damaged", k)
	}
	d = store.Document{Key: store.Key{Kind: kind, ID: id}, Revision: binary.BigEndian.Uint64(v)}
	if at := binary.BigEndian.Uint64(v[8:]); at != 0 {
		return d, time.Unix(int64(at), 0), nil
	}
	d.Data = append([]byte{}, v[header:]...)
	return d, deleted, nil
}
