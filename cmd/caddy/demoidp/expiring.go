package demoidp

import "time"

// maxEntries bounds each of the provider's tables.
const maxEntries = 10_000

// expiring is a table whose entries end. The zero value is ready; the caller
// holds the provider's lock.
type expiring[T any] struct {
	entries map[string]expiringEntry[T]
}

type expiringEntry[T any] struct {
	value T
	ends  time.Time
}

// put stores v until ends. A full table first loses what has ended, then
// everything: nobody waits for an entry of a demo that got 10,000 later ones.
func (e *expiring[T]) put(key string, v T, now, ends time.Time) {
	if len(e.entries) >= maxEntries {
		e.removeIf(func(_ T, t time.Time) bool { return !now.Before(t) })
	}
	if e.entries == nil || len(e.entries) >= maxEntries {
		e.entries = map[string]expiringEntry[T]{}
	}
	e.entries[key] = expiringEntry[T]{v, ends}
}

func (e *expiring[T]) get(key string, now time.Time) (T, bool) {
	got, ok := e.entries[key]
	if !ok || !now.Before(got.ends) {
		var none T
		return none, false
	}
	return got.value, true
}

// take is get for what may be used once.
func (e *expiring[T]) take(key string, now time.Time) (T, bool) {
	v, ok := e.get(key, now)
	delete(e.entries, key)
	return v, ok
}

func (e *expiring[T]) removeIf(gone func(T, time.Time) bool) {
	for k, v := range e.entries {
		if gone(v.value, v.ends) {
			delete(e.entries, k)
		}
	}
}
