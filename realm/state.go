package realm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// sharedStore is an open store in the pool.
type sharedStore struct {
	mu     sync.Mutex
	opener store.Opener
	store  store.Store
}

// get opens the store, or returns it if it is open.
func (s *sharedStore) get(ctx context.Context) (store.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil {
		return s.store, nil
	}
	opened, err := s.opener.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	s.store = opened
	return opened, nil
}

// Destruct closes the store when no configuration and no request uses it.
func (s *sharedStore) Destruct() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}

// holdStore takes the store of a module out of the pool, or puts it there.
// The key gives it back.
func holdStore(opener store.Opener) (shared *sharedStore, key string, err error) {
	key = "store:" + opener.StoreKey()
	value, _, err := process.Pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &sharedStore{opener: opener}, nil
	})
	if err != nil {
		return nil, "", err
	}
	shared, ok := value.(*sharedStore)
	if !ok {
		return nil, "", fmt.Errorf("%s is a %T", key, value)
	}
	return shared, key, nil
}

// patience is how long a start waits for a store that is away, before it goes
// on without: requests are answered with 503 until the store is there.
const patience = 5 * time.Second

// transient reports whether opening a store may succeed later without anybody
// changing anything.
func transient(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}
