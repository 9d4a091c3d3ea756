// Package caddyfile holds the grammar of the plugin's Caddyfile directives:
// each file turns one block into a configuration struct. Placeholders stay as
// they are written; they are resolved when the configuration is provisioned.
package caddyfile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/export"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
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
	UpstreamAuthRaw json.RawMessage `json:"upstream_auth,omitempty" caddy:"namespace=registry_auth.upstream_credentials inline_key=type"`

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

// The values of [Config.OtherPaths], [Config.Passwords]
// and [Config.Audit].
const (
	OtherPathsPass = "pass"
	OtherPathsDeny = "deny"

	PasswordsOn  = "on"
	PasswordsOff = "off"
	// MaxAuditClaims is how many claims a line of the audit log names.
	MaxAuditClaims = 8

	AuditAll      = "all"
	AuditChanges  = "changes"
	AuditRefusals = "refusals"
)

// Fingerprint is the configuration without where it was written: the same
// lines in two places of a Caddyfile declare the same realm.
func Fingerprint(config Config) ([]byte, error) {
	data, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil, err
	}
	return json.Marshal(withoutSource(tree))
}

func withoutSource(tree any) any {
	switch t := tree.(type) {
	case map[string]any:
		delete(t, "source")
		for k, v := range t {
			t[k] = withoutSource(v)
		}
	case []any:
		for i, v := range t {
			t[i] = withoutSource(v)
		}
	}
	return tree
}

var errEmptySetting = errors.New("is empty")

// Resolve replaces the placeholders of a setting. A placeholder that is empty
// or unknown is an error: what has a secret must not go on without.
func Resolve(name, value string) (string, error) {
	if value == "" {
		return "", fmt.Errorf("%s %w", name, errEmptySetting)
	}
	resolved, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if resolved == "" {
		return "", fmt.Errorf("%s %w", name, errEmptySetting)
	}
	return resolved, nil
}

// StoreNamespace is where guest modules that keep state live.
const StoreNamespace = "registry_auth.stores"

// Store reads `store <module> …` of the global option.
func Store(d *caddyfile.Dispenser) (json.RawMessage, error) {
	if !d.NextArg() {
		return nil, d.ArgErr()
	}
	name := d.Val()
	module, err := caddyfile.UnmarshalModule(d, StoreNamespace+"."+name)
	if err != nil {
		return nil, err
	}
	if _, ok := module.(store.Opener); !ok {
		return nil, d.Errf("module %s.%s is not a store, it is %T", StoreNamespace, name, module)
	}
	return caddyconfig.JSONModuleObject(module, "type", name, nil), nil
}

// UpstreamNamespace is where guest modules live that have the gateway's
// credential for the registry.
const UpstreamNamespace = "registry_auth.upstream_credentials"

// UpstreamCredentials reads `<module> …` of upstream_auth.
func UpstreamCredentials(d *caddyfile.Dispenser) (json.RawMessage, caddyfile.Unmarshaler, error) {
	if !d.NextArg() {
		return nil, nil, d.ArgErr()
	}
	name := d.Val()
	if _, err := caddy.GetModule(UpstreamNamespace + "." + name); err != nil {
		var known []string
		for _, m := range caddy.GetModules(UpstreamNamespace) {
			known = append(known, m.ID.Name())
		}
		slices.Sort(known)
		return nil, nil, d.Errf("upstream credentials %q: want %s%s", name, strings.Join(known, ", "), didYouMean(name, known))
	}
	module, err := caddyfile.UnmarshalModule(d, UpstreamNamespace+"."+name)
	if err != nil {
		return nil, nil, err
	}
	if _, ok := module.(upstream.Credentials); !ok {
		return nil, nil, d.Errf("module %s.%s is no credential of a registry, it is %T", UpstreamNamespace, name, module)
	}
	return caddyconfig.JSONModuleObject(module, "type", name, nil), module, nil
}

// Names are what a realm calls itself.
type Names struct {
	PublicURL string // without a trailing slash; empty: follow the request
	Service   string
	Token     tokenendpoint.Config // with an issuer
}

// Names fills in the names that the configuration leaves out.
func (c *Config) Names() (names Names, err error) {
	if names.PublicURL, err = parsePublicURL(c.PublicURL); err != nil {
		return names, err
	}
	if names.Service = c.Service; names.Service == "" {
		if names.Service = "registry"; names.PublicURL != "" {
			u, _ := url.Parse(names.PublicURL)
			names.Service = u.Host
		}
	}
	names.Token = c.Token
	names.Token.Issuer = cmp.Or(c.Token.Issuer, names.PublicURL, names.Service)
	return names, nil
}

// Installation is what the other side of a gateway needs to know, but the keys.
// Base is where the gateway is.
func (n *Names) Installation(base *url.URL) export.Input {
	root, t := base.Scheme+"://"+base.Host, &n.Token
	in := export.Input{
		Registry: base.Host, Realm: t.URL, Service: n.Service, Issuer: t.Issuer,
		Algorithm: string(t.Algorithm), Libtrust: t.KeyID == keys.Libtrust, X5C: t.X5C,
		CertificatesURL: root + t.BundlePath(), JWKSURL: root + t.KeysPath(),
	}
	if in.Realm == "" {
		in.Realm = root + t.TokenPaths()[0]
	}
	return in
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
