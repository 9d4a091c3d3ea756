package realm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// sharedState is the state of one realm in the pool: it outlives a reload, so
// that a hundred thousand robots are not read again for it.
type sharedState struct {
	store    *sharedStore
	storeKey string
	realm    string

	mu    sync.Mutex // held while it is opened
	state atomic.Pointer[state.State]
}

// holdState takes the state of a realm out of the pool, or puts it there.
func holdState(opener store.Opener, realm string) (*sharedState, string, error) {
	key := "state:" + opener.StoreKey() + "\x00" + realm
	value, _, err := process.Pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		shared, storeKey, err := holdStore(opener)
		if err != nil {
			return nil, err
		}
		return &sharedState{store: shared, storeKey: storeKey, realm: realm}, nil
	})
	if err != nil {
		return nil, "", err
	}
	shared, ok := value.(*sharedState)
	if !ok {
		return nil, "", fmt.Errorf("the state of realm %q is a %T", realm, value)
	}
	return shared, key, nil
}

// open reads the state, or returns it if that has been done.
func (s *sharedState) open(ctx context.Context) (*state.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if live := s.state.Load(); live != nil {
		return live, nil
	}
	opened, err := s.store.get(ctx)
	if err != nil {
		return nil, err
	}
	log := caddy.Log().Named("registry_auth.state")
	live, err := state.Open(ctx, opened, s.realm, state.Options{
		Log:     slogger(log),
		OnEvent: func(e state.Event) { logEvent(log, s.realm, e) },
		Shared:  s.store.shared(),
	})
	if err != nil {
		return nil, err
	}
	s.state.Store(live)
	return live, nil
}

// Destruct writes what is still to be written when nobody uses the state.
func (s *sharedState) Destruct() error {
	watched.hide(s)
	if live := s.state.Load(); live != nil {
		live.Close()
	}
	_, err := process.Pool.Delete(s.storeKey)
	return err
}

// logEvent writes down what was administered.
func logEvent(log *zap.Logger, realm string, e state.Event) {
	log.Named("audit").Info("registry administration",
		zap.String("realm", realm),
		zap.String("event_id", e.ID),
		zap.String("actor", e.Actor.String()),
		zap.String("action", e.Action),
		zap.String("object", e.Object.Kind+":"+e.Object.ID),
		zap.String("client_ip", e.Actor.Remote),
		zap.String("request_id", e.Actor.RequestID))
}

// slogger is a logger for packages that do not know zap.
func slogger(log *zap.Logger) *slog.Logger { return slog.New(zapslog.NewHandler(log.Core())) }

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

// opened returns the store, nil if it is not open.
func (s *sharedStore) opened() store.Store {
	if !s.mu.TryLock() {
		return nil // it is being opened
	}
	defer s.mu.Unlock()
	return s.store
}

// shared reports whether several gateways may have the store open.
func (s *sharedStore) shared() bool {
	several, ok := s.opener.(store.Sharer)
	return ok && several.Shared()
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
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrLocked) || errors.Is(err, context.DeadlineExceeded)
}

// ofStore reports whether the store is the reason for an error, and not the
// configuration.
func ofStore(err error) bool {
	for _, known := range []error{store.ErrDamaged, store.ErrFormat, store.ErrFull, store.ErrReadOnly} {
		if errors.Is(err, known) {
			return true
		}
	}
	return transient(err)
}
