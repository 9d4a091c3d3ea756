package engine

import "github.com/caddy-registry-auth/caddy-registry-auth/store"

// Call is one Apply on its way into a store.
type Call struct {
	Changes []store.Change
	History []store.Entry

	// Sequence and Err are the answer, once the commit has succeeded.
	Sequence uint64
	Err      error

	realm string
	done  chan struct{}
}

// Writes is what a number of calls come to.
type Writes struct {
	// Sequence is the realm's new number; the old one if no document changes.
	Sequence uint64
	// Documents to be written, by revision, each once; without Data they are
	// to be marked as deleted.
	Documents []store.Document
	// History to be appended, save what is there already.
	History []store.Entry
}

// Decide answers calls on a realm in their order, each by its preconditions
// and what the ones before have changed. sequence is the realm's last number,
// and revision returns that of a stored document, 0 if there is none. The
// answers hold if the writes are committed.
func Decide(sequence uint64, calls []*Call, revision func(store.Key) (uint64, error)) (Writes, error) {
	w := Writes{Sequence: sequence}
	written := map[store.Key]store.Document{}
	current := func(k store.Key) (uint64, error) {
		d, ok := written[k]
		switch {
		case !ok:
			return revision(k)
		case d.Data == nil:
			return 0, nil
		}
		return d.Revision, nil
	}
	for _, call := range calls {
		var effective []store.Change
		call.Err = nil
		for _, c := range call.Changes {
			found, err := current(c.Key)
			if err != nil {
				return w, err
			}
			if c.If.Absent && found != 0 || c.If.Revision != 0 && found != c.If.Revision {
				call.Err = &store.ConflictError{Key: c.Key, Revision: found}
				break
			}
			if c.Data != nil || found != 0 {
				effective = append(effective, c)
			}
		}
		if call.Err != nil {
			continue
		}
		if len(effective) > 0 {
			w.Sequence++
		}
		for _, c := range effective {
			d := store.Document{Key: c.Key, Revision: w.Sequence, Data: c.Data}
			written[c.Key] = d
			w.Documents = append(w.Documents, d)
		}
		w.History = append(w.History, call.History...)
		call.Sequence = w.Sequence
	}
	w.Documents = last(w.Documents, written)
	return w, nil
}

// last leaves of each document only its last state.
func last(documents []store.Document, state map[store.Key]store.Document) []store.Document {
	if len(documents) == len(state) {
		return documents
	}
	kept := documents[:0]
	for _, d := range documents {
		if state[d.Key].Revision == d.Revision {
			kept = append(kept, d)
		}
	}
	return kept
}
