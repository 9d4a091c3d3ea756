// Package management is how everything that changes at run time is changed:
// robots, access tokens, keys, and whatever else is kept in a [state.State].
//
// The methods of [Manager] are the operations: they check who calls, what is
// given, and write the change together with its audit event. They know nothing
// of HTTP; pages call them as the [API] does. Errors are of type [*Error], or
// come from the store and are translated by [AsError].
package management

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Manager has the operations on the state of one realm. It is safe for
// concurrent use.
type Manager struct {
	state    *state.State
	policy   func() *authz.Policy
	inForce  func(context.Context)
	declared Declared
	taken    map[string]string // see Declared.Taken
	config   Config
	statics  []staticKey
	keys     func() SigningKeys
	prefixes []string
	pending  map[string][]string // patterns of projects that are being imported
	pool     *authn.HashPool
	log      *slog.Logger
	now      func() time.Time
	counting *sync.Mutex // held while something is made of which there is a limit
	unsure   *unsure
}

// Options make a [Manager].
type Options struct {
	// State is what is managed.
	State *state.State
	// Policy returns the rules as they are now, with the facts of State.
	Policy func() *authz.Policy
	// InForce waits, not for long, until what was committed before is in
	// Policy; nil: it always is.
	InForce func(context.Context)
	// Declared is what the configuration declares: it is listed and cannot
	// be changed.
	Declared Declared
	// Config is the realm's `management` block.
	Config Config
	// Keys returns the keys of registry tokens, nil while they are not there.
	Keys func() SigningKeys
	// StaticKeys are the resolved values of Config.APIKeys, in their order.
	StaticKeys []string
	// RobotPrefixes are what robots put before their names to log in; nil for
	// [authn.DefaultRobotPrefixes].
	RobotPrefixes []string
	// Pool bounds how many slow hashes are computed; nil for one of its own.
	Pool *authn.HashPool
	// Log gets what goes wrong inside; nil for nowhere.
	Log *slog.Logger
	// Now replaces the clock in tests.
	Now func() time.Time
}

// Declared is what stands in the configuration.
type Declared struct {
	Robots   []DeclaredRobot
	Projects []DeclaredProject
	// Roles are the configuration's own.
	Roles []authz.Role
	// RobotNames are names that no stored robot may have, beside those of
	// Robots: of companion services, those as which workloads act, and those
	// by which users of the configuration log in. Each has what it is the name
	// of, for people to read.
	RobotNames map[string]string
	// Mentioned are subjects to whom the configuration gives something that is
	// no right in the registry: on other routes, or in headers.
	Mentioned []string
	// ServiceNetworks are the networks of companion services, by name.
	ServiceNetworks map[string][]string
}

// DeclaredRobot is a robot of the configuration.
type DeclaredRobot struct {
	authn.RobotConfig
	// Permissions are what the rules say of the robot, for people to read.
	Permissions []authn.Limit
	// Source is where it is declared: "Caddyfile:12".
	Source string
}

// DeclaredProject is a project of the configuration.
type DeclaredProject struct {
	authz.Project
}

// New makes a manager. The error says which static key is not usable.
func New(o Options) (*Manager, error) {
	m := &Manager{
		state: o.State, policy: o.Policy, inForce: o.InForce, declared: o.Declared, config: o.Config.withDefaults(),
		keys: o.Keys, prefixes: o.RobotPrefixes, pool: o.Pool, log: o.Log, now: o.Now,
	}
	if m.prefixes == nil {
		m.prefixes = authn.DefaultRobotPrefixes
	}
	if m.pool == nil {
		m.pool = authn.NewHashPool(0)
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.now == nil {
		m.now = time.Now
	}
	m.taken, m.counting, m.unsure = m.declared.Taken(), new(sync.Mutex), new(unsure)
	var err error
	if m.statics, err = staticKeys(m.config.APIKeys, o.StaticKeys); err != nil {
		return nil, err
	}
	m.warnOfSuperseded()
	return m, nil
}

// second returns the time to the second, as records have it.
func (m *Manager) second() time.Time { return m.now().UTC().Truncate(time.Second) }

// counted makes something of which there is a limit. The change must be one that
// fails where another gateway makes such a thing at the same time; within this
// one they wait for each other.
func (m *Manager) counted(ctx context.Context, do func() error) error {
	m.counting.Lock()
	defer m.counting.Unlock()
	return m.again(ctx, do)
}

// commit writes a change. Answer is what the caller is told, which gets the
// revision of the change: whoever asked with an idempotency key gets it again.
func (m *Manager) commit(ctx context.Context, who *Caller, tx *state.Tx, answer any) error {
	if err := m.remember(who, tx, answer); err != nil {
		return err
	}
	// What was decided is done, also where the caller hangs up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
	defer cancel()
	if err := m.state.Commit(ctx, tx); err != nil {
		if errors.Is(err, store.ErrUnavailable) {
			m.unsure.add(who, tx, m.now())
		}
		return err
	}
	if v, ok := answer.(revised); ok {
		v.committed(tx.Revision())
	}
	if m.inForce != nil {
		m.inForce(ctx)
	}
	return nil
}

// unchanged is commit for a record that is already as it is to be, as far as this
// gateway knows: another one may have changed it a moment ago.
func unchanged[T any](ctx context.Context, m *Manager, t *state.Table[T], item *state.Item[T]) error {
	var tx state.Tx
	state.Keep(&tx, t, item)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
	defer cancel()
	return m.state.Commit(ctx, &tx)
}

// commitLimit is how long a change may take.
const commitLimit = 20 * time.Second

// Config is the `management` block of a realm.
type Config struct {
	// Where the API is, below the prefix of everything for people and
	// machines beside /v2. Default: `/auth/api/v1`.
	Prefix string `json:"prefix,omitempty"`

	// Keys of the API that stand in the configuration. They are listed like
	// others and cannot be changed.
	APIKeys []StaticKeyConfig `json:"api_keys,omitempty"`

	// How long a robot may be good for at most, from when it was made or
	// changed. Default: no limit.
	RobotMaxLifetime Duration `json:"robot_max_lifetime,omitempty"`

	// How long a personal access token may be good for at most; -1: for
	// ever. Default: 90 days.
	TokenMaxLifetime Duration `json:"token_max_lifetime,omitempty"`

	// If true, robots and personal access tokens must say from which networks
	// they are accepted.
	RequireFrom bool `json:"require_from,omitempty"`

	// If true, there are no role mappings: who may do what stands in the
	// configuration, and in projects.
	NoRoleMappings bool `json:"no_role_mappings,omitempty"`

	// How the first administrator is made. Default: by one call, with a secret
	// that is generated.
	Bootstrap *BootstrapConfig `json:"bootstrap,omitempty"`

	// If true, robots can be managed by Harbor's calls too, at
	// /api/v2.0/robots.
	HarborRobots bool `json:"harbor_robots,omitempty"`
}

// Duration is a length of time: "90d", or nanoseconds.
type Duration = duration.Duration

// DefaultPrefix is where the API is if the configuration does not say.
const DefaultPrefix = "/auth/api/v1"

// defaultTokenLifetime is how long access tokens may live by default.
const defaultTokenLifetime = Duration(90 * 24 * time.Hour)

// StaticKeyConfig is a key of the API that stands in the configuration.
type StaticKeyConfig struct {
	// How lists and audit events call it.
	Name string `json:"name"`

	// The key itself, at least 32 characters, as a placeholder such as
	// `{env.ADMIN_KEY}` or `{file./run/secrets/admin_key}`; or its hash, as
	// `caddy registry-auth new-secret` prints it.
	Key string `json:"key"`

	// What it is good for. Default: `*`, everything.
	Scopes []string `json:"scopes,omitempty"`

	// The client addresses from which it is accepted. Default: from anywhere.
	From []string `json:"from,omitempty"`

	// Where this was written.
	Source string `json:"source,omitempty"`
}

func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.TokenMaxLifetime == 0 {
		c.TokenMaxLifetime = defaultTokenLifetime
	}
	return c
}
