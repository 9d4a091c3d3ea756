package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// census looks at all keys of a file, and compares what a realm's buckets say of
// one another. The pages of a copy that was made while the file was written to
// may all be good, and come from different moments.
type census struct {
	seed   maphash.Seed
	format string
	root   int // buckets there
	realms map[string]*realmCensus
	// records says that the checksum of every record is looked at, too; the
	// first problems are kept.
	records  bool
	problems []string
}

// realmCensus is what was counted of a realm.
type realmCensus struct {
	sequence, trimmed, newest uint64
	// documents and revisions are sums over the same keys, and agree.
	documents, revisions        tally
	deleted, entries, unchecked int
	buckets                     int
}

type tally struct {
	count int
	sum   uint64
}

func newCensus(records bool) *census {
	return &census{seed: maphash.MakeSeed(), records: records, realms: map[string]*realmCensus{}}
}

// count takes one key of the file; see [inspector].
func (c *census) count(within []string, key, value []byte) error {
	inRealms := len(within) > 0 && within[0] == string(realmsBucket)
	switch {
	case len(within) == 0:
		if value != nil || !bytes.Equal(key, metaBucket) && !bytes.Equal(key, realmsBucket) {
			return fmt.Errorf("is no store of registry_auth: it has %.40q", key)
		}
		c.root++
		return nil
	case !inRealms:
		if bytes.Equal(key, formatKey) {
			c.format = string(value)
		}
		return nil
	case len(within) == 1 && value == nil:
		c.realms[string(key)] = new(realmCensus)
		return nil
	case len(within) == 1:
		return fmt.Errorf("has something else where its realms should be: %.40q", key)
	}
	r := c.realms[within[1]]
	ok := false
	switch {
	case len(within) == 2 && value == nil:
		ok = true
		r.buckets++
	case len(within) == 2:
		ok = r.number(key, value)
	case value != nil:
		ok = c.record(r, within, key, value)
	}
	if !ok {
		return fmt.Errorf("has something else in realm %q than records: %.40q", within[1], key)
	}
	return nil
}

// number takes one of the realm's numbers.
func (r *realmCensus) number(key, value []byte) bool {
	if len(value) != 8 {
		return false
	}
	switch n := binary.BigEndian.Uint64(value); string(key) {
	case string(sequenceKey):
		r.sequence = n
	case string(trimmedKey):
		r.trimmed = n
	default:
		return false
	}
	return true
}

// record takes a key of one of the realm's buckets, and reports whether it looks
// like one.
func (c *census) record(r *realmCensus, within []string, key, value []byte) bool {
	switch within[2] {
	case string(documentsBucket):
		if len(value) < header || !bytes.Contains(key, []byte{0}) {
			return false
		}
		r.newest = max(r.newest, binary.BigEndian.Uint64(value))
		if binary.BigEndian.Uint64(value[8:])&^withChecksum != 0 {
			r.deleted++
		}
		c.add(&r.documents, value[:8], key)
		if c.records && c.format != "1" {
			_, _, err := decode(key, value)
			c.problem(within[1], err)
		}
	case string(revisionsBucket):
		if len(key) < 8 || len(value) > 0 {
			return false
		}
		c.add(&r.revisions, key[:8], key[8:])
	case string(historyBucket):
		r.entries++
		if len(value) > 0 && value[0] != 0 {
			r.unchecked++
		}
		if c.records {
			_, err := decodeEntry(key, value)
			c.problem(within[1], err)
		}
	case string(marksBucket):
		return len(key) == 8 && len(value) == 8
	default:
		return false
	}
	return true
}

// maxProblems is how many problems are kept.
const maxProblems = 20

func (c *census) problem(realm string, err error) {
	if err != nil && len(c.problems) < maxProblems {
		c.problems = append(c.problems, fmt.Sprintf("realm %q: %s", realm, strings.TrimPrefix(err.Error(), store.ErrDamaged.Error()+": ")))
	}
}

// add adds a revision and the key of its document.
func (c *census) add(t *tally, revision, key []byte) {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.Write(revision)
	_, _ = h.Write(key)
	t.count++
	t.sum += h.Sum64()
}

// check reports what does not agree.
func (c *census) check() error {
	if c.root != 2 {
		return errors.New("is no store of registry_auth")
	}
	for name, r := range c.realms {
		switch {
		case r.buckets != 4 && (r.buckets != 3 || c.format != "1"):
			return fmt.Errorf("lacks a part of realm %q", name)
		case r.documents != r.revisions:
			return fmt.Errorf("has %d records in realm %q and %d in the list of their revisions, which are not the same", r.documents.count, name, r.revisions.count)
		case r.sequence != max(r.newest, r.trimmed):
			return fmt.Errorf("has %d changes in realm %q and a record of change %d", r.sequence, name, max(r.newest, r.trimmed))
		}
	}
	return nil
}
