package realm

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// start reads the state and makes the realm ready for requests.
//
// Where a store cannot be used, a gateway that starts serves what it can: other
// sites go on, and the realm is not ready until it succeeds, which it goes on
// trying in the background. A reload that replaces a realm which serves is
// refused instead.
func (r *Realm) start(old keys.Store, replaces bool) error {
	watched.show(r.shared)
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	defer close(r.started)
	first, done := context.WithTimeout(ctx, patience)
	defer done()
	err := r.open(ctx, first, old)
	if err == nil || replaces || !ofStore(err) {
		return err
	}
	r.problem.Store(&err)
	r.logger.Error("the store cannot be used: requests are answered with 503 until it can", zap.String("realm", r.name), zap.Error(err))
	go r.keepOpening(ctx, old, err)
	return nil
}

// keepOpening opens the realm as soon as its store can be used.
func (r *Realm) keepOpening(ctx context.Context, old keys.Store, err error) {
	for logged := err; err != nil; {
		wait := time.Second
		if !transient(err) {
			wait = patience // somebody has to do something first
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		try, done := context.WithTimeout(ctx, patience)
		err = r.open(ctx, try, old)
		done()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			r.logger.Info("the store can be used", zap.String("realm", r.name))
		case err.Error() != logged.Error():
			r.problem.Store(&err)
			logged = err
			r.logger.Error("the store cannot be used: requests are answered with 503 until it can", zap.String("realm", r.name), zap.Error(err))
		}
		if err != nil && !ofStore(err) {
			return
		}
	}
}

// open reads state and signing keys and begins to serve. What it starts lives
// until ctx is done; opening itself ends with limit.
func (r *Realm) open(ctx, limit context.Context, old keys.Store) error {
	live, err := r.shared.open(limit)
	if err != nil {
		return err
	}
	run := &Running{Front: r.newFront(live), lease: r.lease, state: live, policy: r.policy}
	run.Front.Used = run.used
	if err := r.openKeys(limit, run, old); err != nil {
		return err
	}
	if r.token.HasRefreshTokens() {
		run.logins = r.newLogins(run)
	}
	registryToken, err := authn.NewRegistryToken(authn.RegistryTokenConfig{
		Issuer:  r.token.Issuer,
		Service: r.names.Service,
		Aliases: r.token.ServiceAliases,
		Keys:    run.Front.Keys,
		Recheck: func(p *authn.Principal, c *authn.Credential) error { return run.Front.Chain.Recheck(p, c) },
	})
	if err != nil {
		return err
	}
	list := append([]authn.Member{authn.NewMember("registry_token", registryToken)}, r.withStored(run)...)
	if err := r.openManagement(run); err != nil {
		return err
	}
	run.local = sync.OnceValues(func() (*management.API, error) { return r.localAPI(run) })
	sessions, err := r.openPortal(run)
	if err != nil {
		return err
	}
	list = append(list, sessions...)
	if r.token.HasRefreshTokens() {
		list = append(list, authn.NewMember(authn.IdentityTokensName, run.logins))
	}
	r.memory.throttle.Beside(live)
	run.Front.Chain = authn.NewChain(list, r.memory.throttle)
	run.vouching = run.Front.Chain
	if r.config.Passwords == caddyfile.PasswordsOff {
		run.Front.Chain = run.Front.Chain.WithoutPasswords()
	}
	run.Front.Chain.Admit(live.Check) // each time, also for tokens that are good
	run.endpoint = &tokenendpoint.Endpoint{
		Service:      r.names.Service,
		Issuer:       r.token.Issuer,
		Config:       r.token,
		AsOf:         live.AsOf,
		Authenticate: run.Front.Chain.Authenticate,
		Policy:       newCarryingPolicy(r),
		Keys:         run.Front.Keys,
		ClientIP:     gateway.ClientAddr,
		Evidence:     run.Front.Evidence,
		Realm:        r.tokenURL,
		RequestID:    gateway.RequestID,
		Record: func(req *http.Request, t tokenendpoint.Record) {
			r.front.Recorder.Token(req, t)
			if t.Status == http.StatusOK {
				run.used(req, t.Principal)
			}
		},
	}
	if run.logins != nil { // a nil pointer in an interface is not nil
		run.endpoint.Identity = run.logins
	}
	r.policy.start(ctx, live)
	go newFiles(r.fingerprint, r.authenticators, r.front.Verifiers, r.logger).watch(ctx)
	for _, a := range r.authenticators {
		if s, ok := a.Authenticator.(authn.Starter); ok {
			s.Start(ctx)
		}
	}
	go run.Front.Keys.Run(ctx)
	go r.followKeys(ctx, run)
	live.SetMaxStale(r.maxStale)
	r.watchUsers(ctx, run)
	r.startBootstrap(ctx, run)
	r.running.Store(run)
	return nil
}

// newFront completes the front of a realm whose state is there, but for its
// keys and authenticators, which need it.
func (r *Realm) newFront(live *state.State) *gateway.Front {
	f := r.front
	f.Realm, f.Service, f.Log = r.name, r.names.Service, r.logger
	f.Policy, f.State = r.policy.load, live
	f.Locks, f.Verdicts = r.memory.tags, r.memory.verdicts
	f.Leases = gateway.NewTagLeases(r.shared.store.opener, live)
	f.TokenURL, f.Base = r.tokenURL, r.base
	f.Grace, f.Explain = r.token.Grace(), r.config.ExplainDenials
	return &f
}

// withStored returns the realm's authenticators with those of what is stored:
// stored robots stand beside the declared ones, and personal access tokens at
// the end.
func (r *Realm) withStored(run *Running) []authn.Member {
	list := slices.Clone(r.authenticators)
	at := slices.IndexFunc(list, func(n authn.Member) bool { return n.Name == authn.RobotsName })
	var declared []authn.RobotConfig
	if at >= 0 {
		if robots, ok := list[at].Authenticator.(*authn.Robots); ok {
			declared = robots.Configs()
		}
	} else {
		at, list = 0, slices.Insert(list, 0, authn.Member{})
	}
	// Compiled again, since a reload may give the same declaration to a realm
	// that follows another state.
	robots, err := authn.NewRobots(declared, process.Hashing, process.Verified, nil)
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
	list[at] = authn.NewMember(authn.RobotsName, robots)
	for i := range list {
		if w, ok := list[i].Authenticator.(*authn.Workload); ok {
			list[i].Authenticator = w.ActingAs(robots, run.state)
		}
	}
	tokens := authn.NewIssued(authn.SecretPersonalToken, run.state, nil)
	tokens.VouchedBy(func(p *authn.Principal, c *authn.Credential) error { return run.vouching.Vouch(p, c) })
	return append(list, authn.NewMember(state.TokensName, tokens))
}

// openKeys opens what encrypts stored values, and the signing keys, which are
// taken over from where they were kept before there was a store.
func (r *Realm) openKeys(ctx context.Context, run *Running, old keys.Store) error {
	var err error
	if run.sealer, err = run.state.NewSealer(ctx, r.sealing); err != nil {
		return fmt.Errorf("opening the data keys: %w", err)
	}
	keyring, err := run.state.OpenKeyring(ctx, run.sealer, old)
	if err != nil {
		return fmt.Errorf("opening signing keys: %w", err)
	}
	if run.Front.Keys, err = keys.Open(ctx, keyring, r.token.KeyConfig(r.slog)); err != nil {
		return fmt.Errorf("opening signing keys: %w", err)
	}
	return nil
}

// followKeys takes over signing keys that another gateway has changed, until
// ctx is done.
func (r *Realm) followKeys(ctx context.Context, run *Running) {
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
		if err := run.Front.Keys.Maintain(ctx); err != nil && ctx.Err() == nil {
			r.logger.Error("reading the signing keys again", zap.String("realm", r.name), zap.Error(err))
		}
	}
}

// newLogins makes the identity tokens of a realm.
func (r *Realm) newLogins(run *Running) *state.Logins {
	return run.state.NewLogins(state.LoginConfig{
		Lifetime:   r.token.RefreshLifetime(),
		Idle:       r.token.RefreshIdle(),
		Rotate:     r.token.RefreshTokenRotation == tokenendpoint.On,
		SameClient: r.token.RefreshTokenClient == tokenendpoint.SameClient,
	}, func(p *authn.Principal, c *authn.Credential) error {
		if p.Credential == state.CredentialToken {
			return run.vouching.Vouch(p, c)
		}
		return run.Front.Chain.Vouch(p, c)
	})
}

// carryingPolicy is the policy for the token endpoint. A registry token carries
// what decisions look at, and here what headers and the audit log say, too.
type carryingPolicy struct {
	*livePolicy
	keep authz.Keep
}

func newCarryingPolicy(r *Realm) carryingPolicy {
	return carryingPolicy{r.policy, r.front.Identity.Keep(r.config.AuditClaims)}
}

// Relevant returns what of a principal a registry token carries.
func (c carryingPolicy) Relevant(p *authn.Principal) *authn.Principal {
	return c.load().RelevantAnd(p, c.keep)
}

// storageKeys keeps the signing keys of a realm as one object in Caddy's
// storage, at registry_auth/<realm>/keys.json.
type storageKeys struct {
	storage certmagic.Storage
	key     string
}

func newStorageKeys(storage certmagic.Storage, realm string) storageKeys {
	return storageKeys{storage: storage, key: certmagic.StorageKeys.Safe("registry_auth") + "/" + certmagic.StorageKeys.Safe(realm) + "/keys.json"}
}

// Load returns the stored key ring, or fs.ErrNotExist.
func (s storageKeys) Load(ctx context.Context) ([]byte, error) { return s.storage.Load(ctx, s.key) }

// Save replaces the stored key ring.
func (s storageKeys) Save(ctx context.Context, ring []byte) error {
	return s.storage.Store(ctx, s.key, ring)
}

// Lock keeps other gateways on the same storage from changing the ring.
func (s storageKeys) Lock(ctx context.Context) (func(), error) {
	if err := s.storage.Lock(ctx, s.key); err != nil {
		return nil, err
	}
	return func() { _ = s.storage.Unlock(context.WithoutCancel(ctx), s.key) }, nil
}

var _ keys.Store = storageKeys{}
