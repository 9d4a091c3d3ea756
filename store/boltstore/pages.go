package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
)

// The library maps the file into memory and trusts it: a page that is not there
// or not what it should be ends the process. So the file is read here first,
// page by page with ordinary reads, and every number in it is checked before it
// is followed.
//
// Numbers are in the byte order of the machine. A page begins with its number
// (8 bytes), flags and a count (2 each) and how many pages follow that belong to
// it (4).
const (
	pageHeader    = 16
	elementSize   = 16 // of branches and leaves
	bucketHeader  = 16
	branchPage    = 0x01
	leafPage      = 0x02
	freelistPage  = 0x10
	bucketElement = 0x01
	noFreelist    = ^uint64(0)

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	metaSize    = 64
	maxDepth    = 64 // of the tree: there is no room for more in any file
)

var order = binary.NativeEndian

// meta is what one of the file's first two pages says.
type meta struct {
	pageSize                           int64
	root, freelist, pages, transaction uint64
}

// readMeta reads a meta page at an offset.
func readMeta(file io.ReaderAt, offset int64) (m meta, err error) {
	var page [pageHeader + metaSize]byte
	if _, err := file.ReadAt(page[:], offset); err != nil {
		return m, err
	}
	b := page[pageHeader:]
	if order.Uint32(b) != boltMagic || order.Uint32(b[4:]) != boltVersion {
		return m, errors.New("is no store")
	}
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSize-8])
	if sum.Sum64() != order.Uint64(b[metaSize-8:]) {
		return m, errors.New("has a first page whose checksum is wrong")
	}
	m = meta{int64(order.Uint32(b[8:])), order.Uint64(b[16:]), order.Uint64(b[32:]), order.Uint64(b[40:]), order.Uint64(b[48:])}
	if m.pageSize < 512 || m.pageSize > 1<<20 || m.pageSize&(m.pageSize-1) != 0 {
		return m, fmt.Errorf("has pages of %d bytes", m.pageSize)
	}
	return m, nil
}

// readMetas returns the meta pages that are good. They take turns: after a
// crash one of the two may not be.
func readMetas(file io.ReaderAt) (found []meta, err error) {
	first, err := readMeta(file, 0)
	if err == nil {
		found = append(found, first)
	}
	for size := int64(1024); size <= 1<<20; size *= 2 { // which is not known without the first
		second, failed := readMeta(file, size)
		if failed == nil && second.pageSize == size {
			return append(found, second), nil
		}
	}
	if len(found) == 0 {
		return nil, err
	}
	return found, nil
}

// inspector follows a file from one of its meta pages.
type inspector struct {
	file io.ReaderAt
	meta meta
	seen []pageUse
	// buffers are the pages that are being looked at, by depth.
	buffers [maxDepth + 1][]byte
	// visit is called for every key; within are the buckets around it. The value
	// of a bucket is nil.
	visit func(within []string, key, value []byte) error
}

// pageUse is what is known of a page.
type pageUse uint8

const (
	unseen pageUse = iota
	free
	used
)

// inspect checks everything that can be reached from the last transaction, or
// from the one that is asked for.
func inspect(file io.ReaderAt, size int64, transaction int, visit func(within []string, key, value []byte) error) error {
	metas, err := readMetas(file)
	if err != nil {
		return err
	}
	m := metas[0]
	for _, other := range metas {
		if transaction == 0 && other.transaction > m.transaction || transaction > 0 && other.transaction == uint64(transaction) {
			m = other
		}
	}
	if transaction > 0 && m.transaction != uint64(transaction) {
		return errMoved
	}
	if most := uint64(size / m.pageSize); m.pages > most {
		return fmt.Errorf("is cut off: it has %d bytes of %d", size, int64(m.pages)*m.pageSize)
	}
	x := &inspector{file: file, meta: m, seen: make([]pageUse, m.pages), visit: visit}
	if err := x.freePages(); err != nil {
		return err
	}
	return x.tree(m.root, nil, nil, nil, 0)
}

// errMoved: the transaction is not the last one any more.
var errMoved = errors.New("was written to in the meantime")

// page reads a page with what belongs to it, and notes that it is in use. It is
// good until the next one of that depth.
func (x *inspector) page(id uint64, depth int) (page []byte, flags, count uint16, err error) {
	if id < 2 || id >= x.meta.pages {
		return nil, 0, 0, fmt.Errorf("refers to page %d of %d", id, x.meta.pages)
	}
	var head [pageHeader]byte
	if _, err := x.file.ReadAt(head[:], int64(id)*x.meta.pageSize); err != nil {
		return nil, 0, 0, err
	}
	more := uint64(order.Uint32(head[12:]))
	if order.Uint64(head[:]) != id || more >= x.meta.pages-id {
		return nil, 0, 0, fmt.Errorf("has something else where page %d should be", id)
	}
	for i := id; i <= id+more; i++ {
		switch x.seen[i] {
		case used:
			return nil, 0, 0, fmt.Errorf("uses page %d twice", i)
		case free:
			return nil, 0, 0, fmt.Errorf("uses page %d, which it says is free", i)
		case unseen:
		}
		x.seen[i] = used
	}
	size := int(more+1) * int(x.meta.pageSize)
	page = slices.Grow(x.buffers[depth][:0], size)[:size]
	x.buffers[depth] = page
	if _, err := x.file.ReadAt(page, int64(id)*x.meta.pageSize); err != nil {
		return nil, 0, 0, err
	}
	return page, order.Uint16(head[8:]), order.Uint16(head[10:]), nil
}

// freePages notes which pages are said to be free.
func (x *inspector) freePages() error {
	if x.meta.freelist == noFreelist {
		return nil
	}
	page, flags, count, err := x.page(x.meta.freelist, 0)
	if err != nil {
		return err
	}
	if flags != freelistPage {
		return fmt.Errorf("has something else on page %d than its free pages", x.meta.freelist)
	}
	ids, n := page[pageHeader:], uint64(count)
	if count == 0xFFFF && len(ids) >= 8 {
		n, ids = order.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids)/8) {
		return fmt.Errorf("says that %d pages are free on a page of %d bytes", n, len(page))
	}
	for i := range n {
		id := order.Uint64(ids[8*i:])
		if id < 2 || id >= x.meta.pages || x.seen[id] != unseen {
			return fmt.Errorf("says that page %d is free", id)
		}
		x.seen[id] = free
	}
	return nil
}

// tree checks a page and all below it, whose keys are from low on and below
// high, nil for any.
func (x *inspector) tree(id uint64, within []string, low, high []byte, depth int) error {
	if depth > maxDepth {
		return errors.New("has pages that lead to one another")
	}
	page, flags, count, err := x.page(id, depth)
	if err != nil {
		return err
	}
	switch flags {
	case leafPage:
		return x.leaf(page, int(count), within, low, high, depth)
	case branchPage:
	default:
		return fmt.Errorf("has something else on page %d than keys", id)
	}
	keys, children := make([][]byte, count), make([]uint64, count)
	data := elements(page, int(count))
	for i := range keys {
		at := pageHeader + i*elementSize
		var ok bool
		if data == nil {
			return fmt.Errorf("has %d keys on page %d, which is too small for them", count, id)
		}
		if keys[i], data, ok = cut(page, at, order.Uint32(page[at:]), order.Uint32(page[at+4:]), data); !ok {
			return fmt.Errorf("has a damaged key on page %d", id)
		}
		children[i] = order.Uint64(page[at+8:])
	}
	for i, key := range keys {
		next := high
		if i+1 < len(keys) {
			next = keys[i+1]
		}
		if !between(key, low, high) || next != nil && bytes.Compare(key, next) >= 0 {
			return fmt.Errorf("has keys in the wrong order on page %d", id)
		}
		if err := x.tree(children[i], within, key, next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks the keys of a page, or of a bucket that is small enough to stand
// in its parent's page.
func (x *inspector) leaf(page []byte, count int, within []string, low, high []byte, depth int) error {
	data := elements(page, count)
	if data == nil {
		return fmt.Errorf("has %d keys on a page of %d bytes", count, len(page))
	}
	for i := range count {
		at := pageHeader + i*elementSize
		flags, offset := order.Uint32(page[at:]), order.Uint32(page[at+4:])
		keySize, valueSize := order.Uint32(page[at+8:]), order.Uint32(page[at+12:])
		key, rest, ok := cut(page, at, offset, keySize, data)
		if !ok {
			return errors.New("has a damaged key")
		}
		value, rest, ok := cut(page, at, offset+keySize, valueSize, rest)
		if !ok {
			return fmt.Errorf("has a damaged value of %q", key)
		}
		data = rest
		if !between(key, low, high) || i > 0 && bytes.Equal(key, low) {
			return fmt.Errorf("has keys in the wrong order at %q", key)
		}
		low = key
		var err error
		switch {
		case flags&bucketElement != 0:
			if err = x.visit(within, key, nil); err == nil {
				err = x.bucket(value, append(within[:len(within):len(within)], string(key)), depth)
			}
		default:
			err = x.visit(within, key, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket checks the keys of a bucket.
func (x *inspector) bucket(value []byte, within []string, depth int) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("has a damaged bucket %q", within)
	}
	if root := order.Uint64(value); root != 0 {
		return x.tree(root, within, nil, nil, depth+1)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != leafPage || depth > maxDepth {
		return fmt.Errorf("has a damaged bucket %q", within)
	}
	return x.leaf(inline, int(order.Uint16(inline[10:])), within, nil, nil, depth+1)
}

// elements returns what stands behind the elements of a page: their keys and
// values, one after the other. It is nil if there is no room for them.
func elements(page []byte, count int) []byte {
	if from := pageHeader + count*elementSize; from <= len(page) {
		return page[from:]
	}
	return nil
}

// cut returns what is at an element's offset, which must be how data begins, and
// the rest of data: a wrong count would lose keys otherwise.
func cut(page []byte, at int, offset, size uint32, data []byte) (found, rest []byte, ok bool) {
	if uint64(at)+uint64(offset) != uint64(len(page)-len(data)) || uint64(size) > uint64(len(data)) {
		return nil, nil, false
	}
	return data[:size], data[size:], true
}

func between(key, low, high []byte) bool {
	return (low == nil || bytes.Compare(key, low) >= 0) && (high == nil || bytes.Compare(key, high) < 0)
}
