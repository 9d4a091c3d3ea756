// Package caddyfile holds the grammar of the plugin's Caddyfile directives:
// each file turns one block into a configuration struct. Placeholders stay as
// they are written; they are resolved when the configuration is provisioned.
package caddyfile

import (
	"encoding/json"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// Config is the configuration of one realm, that is of one front: who is
// let in, who may do what, and which tokens are issued. It is the JSON of the
// `registry_auth` HTTP handler.
type Config struct {
	// The name of the realm, by which `registry_token` handlers and
	// authentication providers refer to it. Two handlers may share a name
	// only if their configuration is the same. Default: `default`.
	Realm string `json:"realm,omitempty"`

	// The URL under which clients reach the registry, for example
	// `https://registry.example.com`. It becomes the realm of challenges and
	// the issuer of registry tokens. Without it both follow the Host of the
	// request, which is safe where the site is bound to host names.
	PublicURL string `json:"public_url,omitempty"`

	// The service name in challenges and the audience of registry tokens.
	// Default: the host of `public_url`, else `registry`.
	Service string `json:"service,omitempty"`

	// Who can sign in: an ordered list of authenticators. A credential is
	// offered to them in this order. The plugin's own registry tokens are
	// always accepted and need no entry.
	AuthenticatorsRaw []json.RawMessage `json:"authenticators,omitempty" caddy:"namespace=registry_auth.authenticators inline_key=type"`

	// What robots put before their names to log in, besides nothing. What is
	// stored does not change with it. Default: `robot$` and `robot-`.
	RobotPrefixes []string `json:"robot_prefixes,omitempty"`

	// Whether people may sign in with passwords: `on` (default) or `off`,
	// where only robots, tokens and users that are marked `break_glass` are
	// let in with HTTP Basic.
	Passwords string `json:"passwords,omitempty"`

	// Who may do what. Without a single grant nobody may do anything.
	Policy authz.Config `json:"policy,omitzero"`

	// The registry tokens that are issued, and where.
	Token tokenendpoint.Config `json:"token,omitzero"`

	// Signing in with the browser, and the pages where people see and manage
	// their access.
	Portal portal.Config `json:"portal,omitzero"`

	// Routes below `/v2/` beyond the distribution specification that may
	// reach the registry. Default: none.
	Extensions []authz.Extension `json:"extensions,omitempty"`

	// How the gateway itself signs in to the registry. Default: `none`,
	// the registry sees no credential at all.
	UpstreamAuth *UpstreamAuth `json:"upstream_auth,omitempty"`

	// The API that manages what changes at run time. Default: there is none.
	Management *management.Config `json:"management,omitempty"`

	// What happens to requests that are not for the registry API: `pass`
	// (default) hands them to the next handler, so that a user interface on
	// the same site works; `deny` answers 404, which is what a site that is
	// nothing but a registry wants.
	OtherPaths string `json:"other_paths,omitempty"`

	// Tell clients why they were denied. Off by default: the reason names
	// projects and roles. The audit log always has it.
	ExplainDenials bool `json:"explain_denials,omitempty"`

	// Which decisions become a line of the audit log: `all` (default),
	// `changes` (refusals and everything that writes), or `refusals`.
	Audit string `json:"audit,omitempty"`

	// Claims of the token that a principal proved itself with which the audit
	// log names, at most 8: what tells one CI job from another, for example
	// `repository` and `run_id`. Dots reach into nested claims. Registry
	// tokens carry them. Default: none; the subject is always there.
	AuditClaims []string `json:"audit_claims,omitempty"`

	// The identity, in headers, for what is behind the gateway. Default:
	// none. Clients' headers of these names never get there.
	IdentityHeaders *IdentityHeaders `json:"identity_headers,omitempty"`

	// Further headers that clients cannot send to what is behind the gateway.
	// Default: those in which known products look for an identity, such as
	// `Remote-User` and `X-Auth-Request-User`.
	DropHeaders []string `json:"drop_headers,omitempty"`

	// Headers that clients can send although they look like an identity.
	// Insecure where anything behind the gateway believes them.
	PassHeaders []string `json:"insecure_pass_headers,omitempty"`
}

// UpstreamAuth says how the gateway signs in to the registry behind it.
type UpstreamAuth struct {
	// `none` removes the client's credential, `basic` and `bearer` replace
	// it by the gateway's own, `passthrough` leaves it, for a registry that
	// verifies the gateway's registry tokens itself.
	Type string `json:"type"`

	// The user of `basic`. Placeholders are resolved at start.
	Username string `json:"username,omitempty"`

	// The password of `basic`. Use a placeholder such as `{env.X}` or
	// `{file./run/secrets/x}`.
	Password string `json:"password,omitempty"`

	// The token of `bearer`. Use a placeholder.
	Token string `json:"token,omitempty"`
}

// The values of [Config.OtherPaths], [UpstreamAuth.Type], [Config.Passwords]
// and [Config.Audit].
const (
	OtherPathsPass = "pass"
	OtherPathsDeny = "deny"

	UpstreamNone        = "none"
	UpstreamBasic       = "basic"
	UpstreamBearer      = "bearer"
	UpstreamPassthrough = "passthrough"

	PasswordsOn  = "on"
	PasswordsOff = "off"
	// MaxAuditClaims is how many claims a line of the audit log names.
	MaxAuditClaims = 8

	AuditAll      = "all"
	AuditChanges  = "changes"
	AuditRefusals = "refusals"
)
