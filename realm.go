package registryauth

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// realm is one configured front at work.
type realm struct {
	name        string
	service     string
	publicURL   string // without a trailing slash; empty: follow the request
	fingerprint []byte // the configuration, to tell two realms of one name apart

	portalPrefix string // where the pages are; empty: there are none

	config         caddyfile.Config
	token          tokenendpoint.Config // with defaults
	authenticators []authn.Named
	policy         *livePolicy
	verifiers      verifiers
	extensions     *authz.Extensions
	upstream       upstreamAuth
	identity       *identityHeaders
	tokenPaths     []string // of the token endpoint
	trusted        []trustedHeaders
	memory         *memory
	shared         *sharedState
	sealing        state.SealerConfig
	secrets        managementSecrets
	recorder       *recorder
	logger         *zap.Logger
	slog           *slog.Logger // the same, for packages that do not know zap

	directory *directory // of the configuration
	lease     *lease
	running   atomic.Pointer[running]
	started   chan struct{} // closed when start has come to its end
	cancel    context.CancelFunc
}

// running is what a realm has once its signing keys are there.
type running struct {
	keys     *tokenendpoint.KeyRing
	state    *state.State
	policy   *livePolicy
	leases   *tagLeases // nil: no other gateway has this state
	sealer   *state.Sealer
	manager  *management.Manager
	chain    *authn.Chain
	vouching *authn.Chain // the same with everybody who can vouch for people
	endpoint *tokenendpoint.Endpoint
	portal   *portal.Portal // nil: off
	logins   *state.Logins  // nil: there are no identity tokens

	// api and bootstrap are nil without a management block.
	api       *management.API
	bootstrap *management.Bootstrap
	// local makes the API for who is on the machine, on the first call.
	local func() (*management.API, error)
}

// newRealm builds a realm from its configuration, without any I/O.
func newRealm(ctx caddy.Context, config caddyfile.Config, authenticators []authn.Named, app *App) (*realm, error) {
	r := &realm{name: config.Realm, config: config, authenticators: authenticators, logger: ctx.Logger(), slog: ctx.Slogger(), sealing: app.sealing, directory: app.realms, started: make(chan struct{})}
	if r.name == "" {
		r.name = "default"
	}
	var err error
	if r.fingerprint, err = fingerprint(config); err != nil {
		return nil, err
	}
	names, err := nameRealm(&config)
	if err != nil {
		return nil, err
	}
	r.publicURL, r.service, r.token = names.publicURL, names.service, names.token
	if err = r.token.Validate(); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	r.tokenPaths = r.token.TokenPaths()
	for _, a := range authenticators {
		if slices.Contains(tokenIssuers(a.Authenticator), r.token.Issuer) {
			return nil, fmt.Errorf("token: issuer %q is also that of %s: registry tokens need an issuer of their own", r.token.Issuer, a.Name)
		}
	}
	switch config.Passwords {
	case "", caddyfile.PasswordsOn, caddyfile.PasswordsOff:
	default:
		return nil, fmt.Errorf("passwords %q: want on or off", config.Passwords)
	}
	if err = authn.CheckRobotPrefixes(config.RobotPrefixes); err != nil {
		return nil, err
	}
	if r.policy, err = newLivePolicy(config.Policy, r.managementConfig(), r.logger); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	r.policy.names = r.declared()
	if r.verifiers, err = newVerifiers(config.Policy.Projects); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	r.trusted = trustedHeadersOf(authenticators)
	if r.extensions, err = authz.NewExtensions(config.Extensions); err != nil {
		return nil, fmt.Errorf("extensions: %w", err)
	}
	if r.upstream, err = newUpstreamAuth(config.UpstreamAuth); err != nil {
		return nil, fmt.Errorf("upstream_auth: %w", err)
	}
	if r.identity, err = newIdentityHeaders(config.IdentityHeaders); err != nil {
		return nil, fmt.Errorf("identity_headers: %w", err)
	}
	if config.Management != nil {
		if err = r.resolveManagement(); err != nil {
			return nil, err
		}
	}
	if err = config.Portal.Validate(); err != nil {
		return nil, err
	}
	if r.hasPortal() {
		r.portalPrefix = config.Portal.PathPrefix()
	}
	if r.recorder, err = newRecorder(ctx, r.name, config); err != nil {
		return nil, err
	}
	value, _, err := pool.LoadOrNew("realm:"+r.name, func() (caddy.Destructor, error) {
		return &memory{throttle: authn.NewThrottle(nil), tags: newTagLocks(), verdicts: newVerdicts()}, nil
	})
	if err != nil {
		return nil, err
	}
	r.memory, _ = value.(*memory)
	shared, stateKey, err := holdState(app.opener, r.name)
	if err != nil {
		_, _ = pool.Delete("realm:" + r.name)
		return nil, err
	}
	r.shared = shared
	r.lease = newLease(func() {
		_, _ = pool.Delete("realm:" + r.name)
		_, _ = pool.Delete(stateKey)
	})
	return r, nil
}

// realmNames are what a realm calls itself.
type realmNames struct {
	publicURL string // without a trailing slash; empty: follow the request
	service   string
	token     tokenendpoint.Config // with an issuer
}

// nameRealm fills in the names that a configuration leaves out.
func nameRealm(config *caddyfile.Config) (names realmNames, err error) {
	if names.publicURL, err = parsePublicURL(config.PublicURL); err != nil {
		return names, err
	}
	if names.service = config.Service; names.service == "" {
		if names.service = "registry"; names.publicURL != "" {
			u, _ := url.Parse(names.publicURL)
			names.service = u.Host
		}
	}
	names.token = config.Token
	names.token.Issuer = cmp.Or(config.Token.Issuer, names.publicURL, names.service)
	return names, nil
}

// parsePublicURL checks the URL and returns it without a trailing slash.
func parsePublicURL(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("public_url: %w", err)
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("public_url %q: want https://host[:port]", raw)
	}
	if u.Path != "" && u.Path != "/" {
		return "", fmt.Errorf("public_url %q: a registry must own /v2/ at the root of its host, it cannot live below %s", raw, u.Path)
	}
	return u.Scheme + "://" + u.Host, nil
}

// start reads the state and makes the realm ready for requests. If the store
// is away it goes on trying in the background, and the realm is not ready
// until it succeeds.
func (r *realm) start(old tokenendpoint.KeyStore) error {
	watched.show(r.shared)
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	defer close(r.started)
	first, done := context.WithTimeout(ctx, patience)
	defer done()
	err := r.open(ctx, first, old)
	if err == nil || !transient(err) {
		return err
	}
	r.logger.Error("the store is away: requests are answered with 503 until it is there", zap.String("realm", r.name), zap.Error(err))
	go func() {
		for ctx.Err() == nil && transient(err) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
			try, done := context.WithTimeout(ctx, patience)
			err = r.open(ctx, try, old)
			done()
		}
		if err != nil && ctx.Err() == nil {
			r.logger.Error("the store cannot be used: requests are answered with 503", zap.String("realm", r.name), zap.Error(err))
		}
	}()
	return nil
}

// open reads state and signing keys and begins to serve. What it starts lives
// until ctx is done; opening itself ends with limit.
func (r *realm) open(ctx, limit context.Context, old tokenendpoint.KeyStore) error {
	live, err := r.shared.open(limit)
	if err != nil {
		return err
	}
	run := &running{state: live, policy: r.policy, leases: newTagLeases(r.shared.store.opener, live)}
	if err := r.openKeys(limit, run, old); err != nil {
		return err
	}
	if r.token.HasRefreshTokens() {
		run.logins = r.newLogins(run)
	}
	registryToken, err := authn.NewRegistryToken(authn.RegistryTokenConfig{
		Issuer:  r.token.Issuer,
		Service: r.service,
		Aliases: r.token.ServiceAliases,
		Keys:    run.keys,
		Recheck: func(p *authn.Principal, c *authn.Credential) error { return run.chain.Recheck(p, c) },
	})
	if err != nil {
		return err
	}
	list := append([]authn.Named{{Name: "registry_token", Authenticator: registryToken}}, r.withStored(run)...)
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
		list = append(list, authn.Named{Name: authn.IdentityTokensName, Authenticator: run.logins})
	}
	run.chain = authn.NewChain(list, r.memory.throttle)
	run.vouching = run.chain
	if r.config.Passwords == caddyfile.PasswordsOff {
		run.chain = run.chain.WithoutPasswords()
	}
	run.chain.Admit(live.Check) // each time, also for tokens that are good
	run.endpoint = &tokenendpoint.Endpoint{
		Service:      r.service,
		Issuer:       r.token.Issuer,
		Config:       r.token,
		Authenticate: run.chain.Authenticate,
		Policy:       newCarryingPolicy(r),
		Keys:         run.keys,
		ClientIP:     clientAddr,
		Evidence:     run.evidence,
		Realm:        r.tokenURL,
		RequestID:    requestID,
		Record: func(req *http.Request, t tokenendpoint.Record) {
			r.recorder.token(req, t)
			if t.Status == http.StatusOK {
				run.used(req, t.Principal)
			}
		},
	}
	if run.logins != nil { // a nil pointer in an interface is not nil
		run.endpoint.Identity = run.logins
	}
	r.policy.start(ctx, live)
	for _, a := range r.authenticators {
		if s, ok := a.Authenticator.(interface{ Start(ctx context.Context) }); ok {
			s.Start(ctx)
		}
	}
	go run.keys.Run(ctx)
	go r.followKeys(ctx, run)
	r.watchUsers(ctx, run)
	r.startBootstrap(ctx, run)
	r.running.Store(run)
	return nil
}

// enter takes the realm's lease for a request, which gives it back when it is
// done. While the realm is not ready it answers the request and returns nil.
func (r *realm) enter(w http.ResponseWriter, req *http.Request) *running {
	if run := r.ready(req.Context()); run != nil && r.lease.acquire() {
		return run
	}
	w.Header().Set("Retry-After", retryAfter(retryAfterStart))
	tokenendpoint.WriteError(w, req, http.StatusServiceUnavailable, tokenendpoint.CodeUnavailable, "the gateway is starting, try again in a moment", nil)
	return nil
}

// ready returns what the realm has to serve with, nil if it has not. Caddy
// may open its sockets before it starts us, on every reload: who comes in that
// moment waits for it, and not for a store that is away.
func (r *realm) ready(ctx context.Context) *running {
	if run := r.running.Load(); run != nil {
		return run
	}
	select {
	case <-r.started:
	case <-ctx.Done():
	case <-time.After(patience + time.Second):
	}
	return r.running.Load()
}

// stop ends background work. Requests that are under way go on.
func (r *realm) stop() {
	if r.cancel != nil {
		r.cancel()
	}
}

// tokenURL is the absolute URL of the token endpoint for challenges: where
// it was configured to be, else on the host that the client is talking to.
func (r *realm) tokenURL(req *http.Request) string {
	if r.token.URL != "" {
		return r.token.URL
	}
	return r.base(req) + r.tokenPaths[0]
}

// base is the URL under which the client reaches the registry.
func (r *realm) base(req *http.Request) string {
	if r.publicURL != "" {
		return r.publicURL
	}
	return requestBase(req)
}

// retryAfter renders a duration for the Retry-After header, at least 1 s.
func retryAfter(d time.Duration) string {
	return fmt.Sprint(max(1, int((d+time.Second-1)/time.Second)))
}
