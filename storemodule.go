package registryauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// storeNamespace is where guest modules that keep state live.
const storeNamespace = "registry_auth.stores"

// storeOpener is implemented by store modules.
type storeOpener interface {
	// OpenStore opens the store. It may be called again after an error that
	// wraps [store.ErrUnavailable].
	OpenStore(ctx context.Context) (store.Store, error)
	// StoreKey says which store it is, without secrets: two configurations
	// with the same key share it, so that a reload leaves it open.
	StoreKey() string
}

// sharedStore is an open store in the pool.
type sharedStore struct {
	mu     sync.Mutex
	opener storeOpener
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
func holdStore(opener storeOpener) (shared *sharedStore, key string, err error) {
	key = "store:" + opener.StoreKey()
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
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

// parseStore reads `store <module> …` of the global option.
func parseStore(d *caddyfile.Dispenser) (json.RawMessage, error) {
	if !d.NextArg() {
		return nil, d.ArgErr()
	}
	name := d.Val()
	module, err := caddyfile.UnmarshalModule(d, storeNamespace+"."+name)
	if err != nil {
		return nil, err
	}
	if _, ok := module.(storeOpener); !ok {
		return nil, d.Errf("module %s.%s is not a store, it is %T", storeNamespace, name, module)
	}
	return caddyconfig.JSONModuleObject(module, "type", name, nil), nil
}
