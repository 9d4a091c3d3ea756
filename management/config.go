package management

import (
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/duration"
)

// Config is the `management` block of a realm.
type Config struct {
	// Where the API is, below the prefix of everything for people and
	// machines beside /v2. Default: `/auth/api/v1`.
	Prefix string `json:"prefix,omitempty"`

	// Keys of the API that stand in the configuration. They are listed like
	// others and cannot be changed.
	APIKeys []StaticKeyConfig `json:"api_keys,omitempty"`

	// How long a robot may be good for at most, from when it was made or
	// changed. Default: for ever.
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
