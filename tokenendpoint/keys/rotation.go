package keys

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Run keeps the ring in step with the store and rotates keys that are due,
// until the context ends. Failures are logged and tried again: what is in
// memory goes on signing.
func (r *Ring) Run(ctx context.Context) {
	tick := time.NewTicker(r.cfg.Reload)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.Maintain(ctx); err != nil && ctx.Err() == nil {
				r.cfg.Log.Error("maintaining the signing keys", "error", err)
			}
		}
	}
}

// Maintain does once what Run does at every interval.
func (r *Ring) Maintain(ctx context.Context) error {
	if err := r.reload(ctx); err != nil {
		return err
	}
	stored := r.current.Load().document
	preview := &document{Version: stored.Version, Keys: slices.Clone(stored.Keys)}
	if changed, successor := r.cfg.tidy(preview, r.cfg.Now()); !changed && successor.IsZero() {
		return nil // the usual case: no lock taken, nothing written
	}
	return r.change(ctx, func(doc *document, now time.Time) (bool, error) {
		changed, successor := r.cfg.tidy(doc, now)
		if successor.IsZero() {
			return changed, nil
		}
		return true, r.add(doc, now, successor)
	})
}

// Rotate publishes a new key now. It begins to sign when the verifiers had
// time to fetch it (Config.Publish); the old one is accepted for as long as
// its last token lives. A successor that is already waiting is left alone.
func (r *Ring) Rotate(ctx context.Context) error {
	return r.change(ctx, func(doc *document, now time.Time) (bool, error) {
		if newest := r.cfg.newest(doc, now); newest != nil && newest.UseFrom.After(now) {
			return false, nil
		}
		return true, r.add(doc, now, now.Add(r.cfg.Publish))
	})
}

// Revoke replaces all keys at once, after one has leaked: every token that
// was signed so far is refused, and registries that verify tokens themselves
// have to be given the new key before they take another one.
func (r *Ring) Revoke(ctx context.Context) error {
	return r.change(ctx, func(doc *document, now time.Time) (bool, error) {
		doc.Keys = nil
		return true, r.add(doc, now, now)
	})
}

// tidy drops keys of which nothing goes on any more, ends keys of an algorithm
// that nobody rotates any more, and says from when a new key has to sign;
// zero if none is needed.
func (c *Config) tidy(doc *document, now time.Time) (changed bool, successor time.Time) {
	before := len(doc.Keys)
	doc.Keys = slices.DeleteFunc(doc.Keys, func(d keyDocument) bool {
		return !d.RetiredAt.IsZero() && !now.Before(d.RetiredAt.Add(c.recall()))
	})
	changed = len(doc.Keys) != before

	newest := c.newest(doc, now)
	if newest == nil {
		return changed, now
	}
	if c.RotateEvery < 0 {
		return changed, time.Time{}
	}
	for i := range doc.Keys {
		d := &doc.Keys[i]
		if d.Algorithm != c.Algorithm && d.RetiredAt.IsZero() && now.After(d.UseFrom.Add(c.RotateEvery)) {
			d.RetiredAt, changed = now.UTC(), true
		}
	}
	end := newest.UseFrom.Add(c.RotateEvery)
	if now.Before(end.Add(-c.Publish)) {
		return changed, time.Time{}
	}
	if earliest := now.Add(c.Publish); end.Before(earliest) {
		end = earliest
	}
	return changed, end
}

// newest returns the key of the configured algorithm that signs now or will
// last, nil if there is none left.
func (c *Config) newest(doc *document, now time.Time) *keyDocument {
	var newest *keyDocument
	for i := range doc.Keys {
		d := &doc.Keys[i]
		if d.Algorithm != c.Algorithm || (!d.RetiredAt.IsZero() && !now.Before(d.RetiredAt)) {
			continue
		}
		if newest == nil || d.UseFrom.After(newest.UseFrom) {
			newest = d
		}
	}
	return newest
}

// add makes a key that signs from useFrom on and ends its predecessors then.
func (r *Ring) add(doc *document, now, useFrom time.Time) error {
	made, err := newKeyDocument(r.cfg.Algorithm, now, useFrom)
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	for i := range doc.Keys {
		d := &doc.Keys[i]
		if d.Algorithm == r.cfg.Algorithm && (d.RetiredAt.IsZero() || d.RetiredAt.After(useFrom)) {
			d.RetiredAt = made.UseFrom
		}
	}
	doc.Keys = append(doc.Keys, made)
	r.cfg.Log.Info("made a signing key", "algorithm", string(r.cfg.Algorithm), "signs_from", made.UseFrom)
	return nil
}

// firstKey fills a document that did not exist.
func (r *Ring) firstKey(doc *document, now time.Time) (bool, error) {
	if len(doc.Keys) > 0 {
		return false, nil // another gateway was faster
	}
	return true, r.add(doc, now, now)
}

// change edits the stored document under the store's lock, starting from what
// the store has at that moment, and takes over the result.
func (r *Ring) change(ctx context.Context, edit func(doc *document, now time.Time) (changed bool, err error)) error {
	if err := r.acquire(ctx); err != nil {
		return err
	}
	defer r.release()
	unlock, err := r.store.Lock(ctx)
	if err != nil {
		return fmt.Errorf("locking the signing keys: %w", err)
	}
	defer unlock()

	raw, err := r.store.Load(ctx)
	doc := &document{Version: documentVersion}
	switch {
	case err == nil:
		if doc, err = parseRing(raw); err != nil {
			return err
		}
	case errors.Is(err, fs.ErrNotExist) && r.current.Load() == nil:
		// The first start of the first gateway.
	default:
		return fmt.Errorf("loading the signing keys: %w", err)
	}
	changed, err := edit(doc, r.cfg.Now())
	if err != nil {
		return err
	}
	if changed {
		if raw, err = doc.encode(); err != nil {
			return err
		}
		if err := r.store.Save(ctx, raw); err != nil {
			return fmt.Errorf("saving the signing keys: %w", err)
		}
	}
	return r.install(raw)
}
