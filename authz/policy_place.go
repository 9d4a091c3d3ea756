package authz

import (
	"cmp"
	"slices"
)

// place is one repository pattern with the rules that hold there.
type place struct {
	grants bucket
	denies bucket
	shadow bucket

	// immutable and readOnly hold for everybody.
	immutable []*Rule
	readOnly  *Rule
	owned     [len(ownedNames)]*Rule
	creators  []*Rule

	// signatures say what must be signed to be pulled from here.
	signatures []*SignatureRule

	known bool // to the compiler
}

// fewEntries is up to when looking at every entry of a bucket is quicker
// than a map.
const fewEntries = 4

// bucket finds rules by subject.
type bucket struct {
	entries []entry
	// spans says which entries are of a subject, where there are many.
	spans map[subjectID]span
}

type entry struct {
	subject subjectID
	rule    *Rule
}

type span struct{ from, to uint32 }

// add collects an entry; index makes them findable.
func (b *bucket) add(s subjectID, r *Rule) { b.entries = append(b.entries, entry{s, r}) }

// index makes the entries findable by subject, keeping the order of the
// configuration among those of one subject.
func (b *bucket) index() {
	b.entries = slices.Clip(b.entries)
	if len(b.entries) <= fewEntries {
		return
	}
	slices.SortStableFunc(b.entries, func(x, y entry) int { return cmp.Compare(x.subject, y.subject) })
	b.spans = make(map[subjectID]span)
	for i, e := range b.entries {
		s, ok := b.spans[e.subject]
		if !ok {
			s.from = uint32(i)
		}
		s.to = uint32(i) + 1
		b.spans[e.subject] = s
	}
}
