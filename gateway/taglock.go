package gateway

import (
	"context"
	"slices"
	"sync"
)

// TagLocks lets one push at a time change a tag on whose absence its right
// depends: of two that come at once, the second finds the tag taken. Tags that
// nobody pushes take no memory.
type TagLocks struct {
	mu   sync.Mutex
	held map[string]*tagLock
}

type tagLock struct {
	turn    chan struct{} // holds one token while the tag is free
	waiting int           // who holds it or waits for it
}

func NewTagLocks() *TagLocks { return &TagLocks{held: make(map[string]*tagLock)} }

// lock takes all tags of a repository, in an order that cannot deadlock, and
// returns what gives them back. It fails when the context ends.
func (l *TagLocks) lock(ctx context.Context, repository string, tags []string) (unlock func(), err error) {
	tags = slices.Compact(slices.Sorted(slices.Values(tags)))
	taken := make([]string, 0, len(tags))
	unlock = func() {
		for _, key := range taken {
			l.release(key)
		}
	}
	for _, tag := range tags {
		key := repository + ":" + tag
		if err := l.acquire(ctx, key); err != nil {
			unlock()
			return nil, err
		}
		taken = append(taken, key)
	}
	return unlock, nil
}

func (l *TagLocks) acquire(ctx context.Context, key string) error {
	l.mu.Lock()
	t := l.held[key]
	if t == nil {
		t = &tagLock{turn: make(chan struct{}, 1)}
		t.turn <- struct{}{}
		l.held[key] = t
	}
	t.waiting++
	l.mu.Unlock()
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
		l.leave(key, t)
		return ctx.Err()
	}
}

func (l *TagLocks) release(key string) {
	l.mu.Lock()
	t := l.held[key]
	l.mu.Unlock()
	t.turn <- struct{}{}
	l.leave(key, t)
}

func (l *TagLocks) leave(key string, t *tagLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.waiting--; t.waiting == 0 {
		delete(l.held, key)
	}
}
