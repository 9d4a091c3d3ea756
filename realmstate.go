package registryauth

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
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
func holdState(opener storeOpener, realm string) (*sharedState, string, error) {
	key := "state:" + opener.StoreKey() + "\x00" + realm
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
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
	_, err := pool.Delete(s.storeKey)
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

// withStored returns the realm's authenticators with those of what is stored:
// stored robots stand beside the declared ones, and personal access tokens at
// the end.
func (r *realm) withStored(run *running) []authn.Named {
	list := slices.Clone(r.authenticators)
	at := slices.IndexFunc(list, func(n authn.Named) bool { return n.Name == authn.RobotsName })
	var declared []authn.RobotConfig
	if at >= 0 {
		if robots, ok := list[at].Authenticator.(*Robots); ok {
			declared = robots.resolved
		}
	} else {
		at, list = 0, slices.Insert(list, 0, authn.Named{Name: authn.RobotsName})
	}
	// Compiled again, since a reload may give the same declaration to a realm
	// that follows another state.
	robots, err := authn.NewRobots(declared, hashing, verified, nil)
	if err != nil {
		r.logger.Error("the declared robots", zap.Error(err)) // they were good when they were provisioned
		return r.authenticators
	}
	robots.Follow(run.state)
	names := r.declared()
	robots.Reserve(names.Taken())
	if len(r.config.RobotPrefixes) > 0 {
		robots.SetPrefixes(r.config.RobotPrefixes)
	}
	list[at].Authenticator = robots
	for _, n := range list { // those whose principals may act as robots
		if u, ok := n.Authenticator.(interface{ useRobots(robotAdmitter) }); ok {
			u.useRobots(robots)
		}
	}
	tokens := authn.NewIssued(authn.SecretPersonalToken, run.state, nil)
	tokens.VouchedBy(func(p *authn.Principal, c *authn.Credential) error { return run.vouching.Vouch(p, c) })
	return append(list, authn.Named{Name: state.TokensName, Authenticator: tokens})
}

// openKeys opens what encrypts stored values, and the signing keys, which are
// taken over from where they were kept before there was a store.
func (r *realm) openKeys(ctx context.Context, run *running, old tokenendpoint.KeyStore) error {
	var err error
	if run.sealer, err = run.state.NewSealer(ctx, r.sealing); err != nil {
		return fmt.Errorf("opening the data keys: %w", err)
	}
	keyring, err := run.state.OpenKeyring(ctx, run.sealer, old)
	if err != nil {
		return fmt.Errorf("opening signing keys: %w", err)
	}
	if run.keys, err = tokenendpoint.OpenKeyRing(ctx, keyring, r.token.KeyConfig(r.slog)); err != nil {
		return fmt.Errorf("opening signing keys: %w", err)
	}
	return nil
}

// followKeys takes over signing keys that another gateway has changed, until
// ctx is done.
func (r *realm) followKeys(ctx context.Context, run *running) {
	changed := make(chan struct{}, 1)
	cancel := run.state.OnSigningKeys(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if err := run.keys.Maintain(ctx); err != nil && ctx.Err() == nil {
			r.logger.Error("reading the signing keys again", zap.String("realm", r.name), zap.Error(err))
		}
	}
}

// slogger is a logger for packages that do not know zap.
func slogger(log *zap.Logger) *slog.Logger { return slog.New(zapslog.NewHandler(log.Core())) }
