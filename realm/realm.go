// Package realm is the life of a realm, one configured front at work: it starts,
// is reloaded, and has its state and the policy in force.
package realm

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
)

// Realm is one configured front at work.
type Realm struct {
	name        string
	names       caddyfile.Names
	fingerprint []byte // the configuration, to tell two realms of one name apart

	portalPrefix string // where the pages are; empty: there are none

	config         caddyfile.Config
	token          tokenendpoint.Config // with defaults
	authenticators []authn.Member
	policy         *livePolicy
	front          gateway.Front // without what only a started realm has
	tokenPaths     []string      // of the token endpoint
	memory         *memory
	shared         *sharedState
	sealing        state.SealerConfig
	maxStale       time.Duration
	secrets        managementSecrets
	logger         *zap.Logger
	slog           *slog.Logger // the same, for packages that do not know zap

	directory *directory // of the configuration
	lease     *lease
	running   atomic.Pointer[Running]
	problem   atomic.Pointer[error] // why it is not running
	started   chan struct{}         // closed when start has come to its end
	cancel    context.CancelFunc
}

// Running is what a realm has once its signing keys are there.
type Running struct {
	// Front is what requests to the registry API need.
	Front *gateway.Front

	lease    *lease // of its realm
	state    *state.State
	policy   *livePolicy
	sealer   *state.Sealer
	manager  *management.Manager
	vouching *authn.Chain // as the front's, with everybody who can vouch for people
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
func newRealm(ctx caddy.Context, config caddyfile.Config, authenticators []authn.Member, shown upstream.Credentials, app *App) (*Realm, error) {
	r := &Realm{name: config.Realm, config: config, authenticators: authenticators, logger: ctx.Logger(), slog: ctx.Slogger(), sealing: app.sealing, maxStale: time.Duration(app.MaxStale), directory: app.realms, started: make(chan struct{})}
	if r.name == "" {
		r.name = "default"
	}
	var err error
	if r.fingerprint, err = caddyfile.Fingerprint(config); err != nil {
		return nil, err
	}
	r.config.AuthenticatorsRaw, r.config.UpstreamAuthRaw = nil, nil // they are loaded
	if r.names, err = config.Names(); err != nil {
		return nil, err
	}
	r.token = r.names.Token
	if err = r.token.Validate(); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	r.tokenPaths = r.token.TokenPaths()
	for _, a := range authenticators {
		if slices.Contains(a.Issuers, r.token.Issuer) {
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
	if r.front.Verifiers, err = gateway.NewVerifiers(config.Policy.Projects); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if r.front.Extensions, err = authz.NewExtensions(config.Extensions); err != nil {
		return nil, fmt.Errorf("extensions: %w", err)
	}
	r.front.Upstream = gateway.NewUpstream(shown)
	if r.front.Identity, err = gateway.NewIdentityHeaders(config.IdentityHeaders); err != nil {
		return nil, fmt.Errorf("identity_headers: %w", err)
	}
	if r.front.Cleaning, err = gateway.NewCleaning(&config, authenticators, r.front.Identity); err != nil {
		return nil, err
	}
	if config.Management != nil {
		if err = r.resolveManagement(); err != nil {
			return nil, err
		}
	}
	if err = config.Portal.Validate(); err != nil {
		return nil, err
	}
	if r.HasPortal() {
		r.portalPrefix = config.Portal.PathPrefix()
	}
	if err = showMetrics(ctx); err != nil {
		return nil, err
	}
	if r.front.Recorder, err = gateway.NewRecorder(ctx, r.name, config); err != nil {
		return nil, err
	}
	value, _, err := process.Pool.LoadOrNew("realm:"+r.name, func() (caddy.Destructor, error) {
		return &memory{throttle: authn.NewThrottle(nil), tags: gateway.NewTagLocks(), verdicts: gateway.NewVerdicts()}, nil
	})
	if err != nil {
		return nil, err
	}
	r.memory, _ = value.(*memory)
	shared, stateKey, err := holdState(app.opener, r.name)
	if err != nil {
		_, _ = process.Pool.Delete("realm:" + r.name)
		return nil, err
	}
	r.shared = shared
	r.lease = newLease(func() {
		_, _ = process.Pool.Delete("realm:" + r.name)
		_, _ = process.Pool.Delete(stateKey)
	})
	return r, nil
}

// Enter takes the realm's lease for a request, which gives it back with
// [Running.Leave]. While the realm is not ready it answers the request and
// returns nil.
func (r *Realm) Enter(w http.ResponseWriter, req *http.Request) *Running {
	if run := r.Take(req.Context()); run != nil {
		return run
	}
	a := answer.Starting.Of()
	if err := r.problem.Load(); err != nil && !transient(*err) {
		a = answer.StoreUnusable.Of()
	}
	answer.SetRetryAfter(w.Header(), a.RetryAfter)
	answer.Write(w, req, a.Status, a.Code, a.Sentence, nil)
	return nil
}

// Take is Enter for who answers in other words: it returns nil while the realm
// is not ready.
func (r *Realm) Take(ctx context.Context) *Running {
	if run := r.take(ctx); run != nil {
		return run
	}
	// On a reload a request may come by a configuration that has just ended, or
	// by one that is not going to start. The realm in force serves it.
	app := apps.current()
	if app == nil {
		return nil
	}
	if other, err := app.realms.realm(r.name); err == nil && other != r {
		return other.take(ctx)
	}
	return nil
}

func (r *Realm) take(ctx context.Context) *Running {
	if run := r.ready(ctx); run != nil && r.lease.acquire() {
		return run
	}
	return nil
}

// Leave gives the lease back that a request has taken.
func (run *Running) Leave() { run.lease.done() }

// Leave gives the lease back that the configuration has.
func (r *Realm) Leave() { r.lease.done() }

// ready returns what the realm has to serve with, nil if it has not. Caddy
// may open its sockets before it starts us, on every reload: who comes in that
// moment waits for it, and not for a store that is away.
func (r *Realm) ready(ctx context.Context) *Running {
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
func (r *Realm) stop() {
	if r.cancel != nil {
		r.cancel()
	}
}

// WarnIfUseless warns about a configuration that loads but serves nobody.
func (r *Realm) WarnIfUseless() {
	if !r.policy.load().GrantsAnything() {
		r.logger.Warn("no grant allows anything: every request will be refused", zap.String("realm", r.name))
	}
}

// CleanRoute prepares a request that is not for the registry API for another
// handler.
func (r *Realm) CleanRoute(req *http.Request) { r.front.Cleaning.Route(req) }
