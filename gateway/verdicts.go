package gateway

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/signature"
)

// How long it is remembered what was found out about a manifest. What is
// listed in a signed index outlives the index's own entry, so that whoever
// was given the index also gets what it lists.
const (
	signedFor   = 30 * time.Minute
	listedFor   = time.Hour
	unsignedFor = 10 * time.Second // signing right after a push works

	maxSigned   = 16384
	maxListed   = 32768
	maxUnsigned = 4096
	maxPlaces   = 65536
)

// verdictKey is a hash of keys, repository and digest.
type verdictKey [32]byte

// Verdicts remembers which manifests are signed, and has each looked at once
// however many ask.
type Verdicts struct {
	mu       sync.Mutex
	signed   *remembered
	listed   *remembered // by a signed index
	unsigned *remembered
	places   *remembered // where a signature was found, for the next look
	flights  map[verdictKey]*flight
	now      func() time.Time
}

type flight struct {
	done chan struct{}
	err  error
}

// NewVerdicts returns a memory of none.
func NewVerdicts() *Verdicts {
	return &Verdicts{
		signed: newRemembered(maxSigned), listed: newRemembered(maxListed), unsigned: newRemembered(maxUnsigned), places: newRemembered(maxPlaces),
		flights: map[verdictKey]*flight{}, now: time.Now,
	}
}

// errAbandoned is what others get if a look ended without a result.
var errAbandoned = errors.New("looking for a signature ended early")

// of returns the verdict on a manifest: nil, an error that wraps
// signature.ErrUnsigned or ErrUntrusted, or another if there is none. It is
// found out by look unless it is remembered or is being found out already.
func (v *Verdicts) of(ctx context.Context, key verdictKey, look func(listed bool) error) error {
	v.mu.Lock()
	now := v.now()
	if ok, _ := v.signed.get(key, now); ok {
		v.mu.Unlock()
		return nil
	}
	if ok, err := v.unsigned.get(key, now); ok {
		v.mu.Unlock()
		return err
	}
	if f, ok := v.flights[key]; ok {
		v.mu.Unlock()
		select {
		case <-f.done:
			return f.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f := &flight{done: make(chan struct{}), err: errAbandoned}
	v.flights[key] = f
	listed, _ := v.listed.get(key, now)
	v.mu.Unlock()
	defer func() { // also if look panics
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.flights, key)
		close(f.done)
	}()
	f.err = look(listed)
	if !listed && isUnsigned(f.err) && v.isListed(key) {
		f.err = look(true) // a signed index that lists it was found in the same moment
	}
	v.remember(key, f.err)
	return f.err
}

func (v *Verdicts) isListed(key verdictKey) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	listed, _ := v.listed.get(key, v.now())
	return listed
}

func isUnsigned(err error) bool {
	return errors.Is(err, signature.ErrUnsigned) || errors.Is(err, signature.ErrUntrusted)
}

func (v *Verdicts) remember(key verdictKey, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err == nil:
		v.signed.put(key, nil, v.now().Add(signedFor))
	case isUnsigned(err):
		if listed, _ := v.listed.get(key, v.now()); listed {
			return // since the last look
		}
		v.unsigned.put(key, err, v.now().Add(unsignedFor))
	}
}

// list remembers what a signed index lists.
func (v *Verdicts) list(keys []verdictKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, key := range keys {
		v.listed.put(key, nil, v.now().Add(listedFor))
		v.unsigned.drop(key)
	}
}

// found remembers where a signature is: it does not move, however much is
// attached to the manifest later.
func (v *Verdicts) found(key verdictKey, place string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.places.put(key, nil, time.Time{})
	e, _ := v.places.entries[key].Value.(*rememberedEntry)
	e.place = place
}

// place returns where a signature was found before, or "".
func (v *Verdicts) place(key verdictKey) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	element, ok := v.places.entries[key]
	if !ok {
		return ""
	}
	e, _ := element.Value.(*rememberedEntry)
	v.places.order.MoveToFront(element)
	return e.place
}

// remembered is a bounded table that forgets what was not used for longest.
type remembered struct {
	limit   int
	entries map[verdictKey]*list.Element
	order   *list.List // the most recently used in front
}

type rememberedEntry struct {
	key   verdictKey
	err   error
	place string
	until time.Time
}

func newRemembered(limit int) *remembered {
	return &remembered{limit: limit, entries: map[verdictKey]*list.Element{}, order: list.New()}
}

func (r *remembered) get(key verdictKey, now time.Time) (ok bool, err error) {
	element, ok := r.entries[key]
	if !ok {
		return false, nil
	}
	e, _ := element.Value.(*rememberedEntry)
	if !now.Before(e.until) {
		r.drop(key)
		return false, nil
	}
	r.order.MoveToFront(element)
	return true, e.err
}

func (r *remembered) put(key verdictKey, err error, until time.Time) {
	r.drop(key)
	r.entries[key] = r.order.PushFront(&rememberedEntry{key: key, err: err, until: until})
	for len(r.entries) > r.limit {
		e, _ := r.order.Back().Value.(*rememberedEntry)
		r.drop(e.key)
	}
}

func (r *remembered) drop(key verdictKey) {
	if element, ok := r.entries[key]; ok {
		r.order.Remove(element)
		delete(r.entries, key)
	}
}
