package caddyfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

// AuthenticatorNamespace is where guest modules that turn credentials into
// principals live.
const AuthenticatorNamespace = "registry_auth.authenticators"

// Realm parses a `registry_auth` block; d stands before the directive's name:
//
//	registry_auth {
//		realm           <name>
//		public_url      <url>
//		service         <name>
//		oidc            <issuer> [<client_id>] { … }
//		workload        <name> <issuer> { … }
//		htpasswd        <file> { … }
//		local           { … }
//		passwords       on|off
//		robot           <name> [<action>...] { … }
//		service_secret  <name> { … }
//		robot_prefix    <prefix>...
//		<authenticator> …
//		admin           <subject>...
//		role            <name> <action>...
//		project         <pattern>... { … }
//		deny            <action>... <subject>... [{ … }]
//		anonymous_read  <pattern>...
//		authenticated_read <pattern>...
//		catalog         admin|filtered
//		read_only
//		owner_only      repository|namespace [<pattern>...]
//		creator_role    <role> [<pattern>...]
//		role_source     token|application|header... [{ first }]
//		token           { … }
//		portal          [off] { … }
//		extension       <path> <action>
//		management      { … }
//		upstream_auth   <module> …
//		drop_headers    <header...>
//		insecure_pass_headers <header...>
//		other_paths     pass|deny
//		explain_denials
//		audit           all|changes|refusals
//		audit_claims    <claim>...
//		identity_headers [{ … }]
//	}
func Realm(d *caddyfile.Dispenser) (*Config, error) {
	p := realmParser{d: d, config: new(Config), robotsAt: -1, seen: map[string]bool{}, declared: map[string]bool{}}
	options := p.options().And(policyOptions(&p.config.Policy))
	for d.Next() {
		if d.NextArg() {
			return nil, d.ArgErr()
		}
		for nesting := d.Nesting(); d.NextBlock(nesting); {
			option := options[d.Val()]
			if option == nil {
				option = p.authenticator(options)
			}
			if err := option(d); err != nil {
				return nil, err
			}
		}
	}
	return p.finish()
}

type realmParser struct {
	d        *caddyfile.Dispenser
	config   *Config
	seen     map[string]bool // scalars that were given
	robots   []authn.RobotConfig
	declared map[string]bool // robots by name
	robotsAt int             // position of the robots among the authenticators
	issuers  []*workloadIssuer

	services   []authn.ServiceSecretConfig
	servicesAt int // position of the services among the authenticators
}

func (p *realmParser) options() Options {
	c := p.config
	return Options{
		"realm":                 p.scalar(&c.Realm),
		"public_url":            p.scalar(&c.PublicURL),
		"service":               p.scalar(&c.Service),
		"robot_prefix":          List(&c.RobotPrefixes),
		"other_paths":           p.choice(&c.OtherPaths, OtherPathsPass, OtherPathsDeny),
		"passwords":             p.choice(&c.Passwords, PasswordsOn, PasswordsOff),
		"audit":                 p.choice(&c.Audit, AuditAll, AuditChanges, AuditRefusals),
		"audit_claims":          p.auditClaims,
		"explain_denials":       Flag(&c.ExplainDenials),
		"drop_headers":          List(&c.DropHeaders),
		"insecure_pass_headers": List(&c.PassHeaders),
		"identity_headers": p.once(func(d *caddyfile.Dispenser) (err error) {
			c.IdentityHeaders, err = identityHeaders(d)
			return err
		}),
		"upstream_auth": p.once(p.upstreamAuth),
		"extension":     p.extension,
		"management": p.once(func(d *caddyfile.Dispenser) error {
			c.Management = new(management.Config)
			return Management(d, c.Management)
		}),
		"token":                  p.once(func(d *caddyfile.Dispenser) error { return Token(d, &c.Token) }),
		"portal":                 p.once(func(d *caddyfile.Dispenser) error { return Portal(d, &c.Portal) }),
		"robot":                  p.robot,
		authn.WorkloadName:       p.workload,
		authn.ServiceSecretsName: p.serviceSecret,
		"project": func(d *caddyfile.Dispenser) error {
			project, err := Project(d, p.projectRobot)
			c.Policy.Projects = append(c.Policy.Projects, project)
			return err
		},
	}
}

// authenticator hands the block to the guest module of its name.
func (p *realmParser) authenticator(options Options) Option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		id := AuthenticatorNamespace + "." + name
		if !slices.Contains(authenticatorNames(), name) {
			return unrecognized(d, "registry_auth", append(slices.Sorted(maps.Keys(options)), authenticatorNames()...)...)
		}
		module, err := caddyfile.UnmarshalModule(d, id)
		if err != nil {
			return err
		}
		if _, ok := module.(authn.Authenticator); !ok {
			return d.Errf("module %s is not an authenticator, it is %T", id, module)
		}
		p.config.AuthenticatorsRaw = append(p.config.AuthenticatorsRaw, caddyconfig.JSONModuleObject(module, "type", name, nil))
		return nil
	}
}

// finish puts the robots in their place and checks the policy as a whole, so
// that `caddy adapt` already tells what is wrong, and where.
func (p *realmParser) finish() (*Config, error) {
	if _, err := authz.Compile(p.config.Policy); err != nil {
		return nil, fmt.Errorf("registry_auth: %w", err)
	}
	if err := p.finishWorkloads(); err != nil {
		return nil, err
	}
	if err := p.finishServices(); err != nil {
		return nil, err
	}
	if len(p.robots) > 0 {
		raw, err := json.Marshal(map[string]any{"type": "robots", "robots": p.robots})
		if err != nil {
			return nil, err
		}
		p.config.AuthenticatorsRaw = slices.Insert(p.config.AuthenticatorsRaw, p.robotsAt, json.RawMessage(raw))
	}
	return p.config, nil
}

// auditClaims reads the claims that the audit log names.
func (p *realmParser) auditClaims(d *caddyfile.Dispenser) error {
	if err := List(&p.config.AuditClaims)(d); err != nil {
		return err
	}
	if len(p.config.AuditClaims) > MaxAuditClaims {
		return d.Errf("audit_claims: at most %d", MaxAuditClaims)
	}
	return nil
}

func (p *realmParser) extension(d *caddyfile.Dispenser) error {
	var e authz.Extension
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.ArgErr()
	}
	action, err := authz.ParseAction(args[1])
	if err != nil {
		return d.WrapErr(err)
	}
	e.Path, e.Action = args[0], action
	p.config.Extensions = append(p.config.Extensions, e)
	return nil
}

// authenticatorNames lists the guest modules that this build has.
func authenticatorNames() []string {
	var names []string
	for _, m := range caddy.GetModules(AuthenticatorNamespace) {
		names = append(names, m.ID.Name())
	}
	return names
}

// once is an option that stands once.
func (p *realmParser) once(option Option) Option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if p.seen[name] {
			return Twice(d, name)
		}
		p.seen[name] = true
		return option(d)
	}
}

func (p *realmParser) scalar(value *string) Option {
	return p.once(func(d *caddyfile.Dispenser) error {
		if !d.AllArgs(value) {
			return d.ArgErr()
		}
		return nil
	})
}

func (p *realmParser) choice(value *string, allowed ...string) Option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if err := p.scalar(value)(d); err != nil {
			return err
		}
		if !slices.Contains(allowed, *value) {
			return d.Errf("%s %q: want %s", name, *value, strings.Join(allowed, " or "))
		}
		return nil
	}
}

func (p *realmParser) upstreamAuth(d *caddyfile.Dispenser) (err error) {
	p.config.UpstreamAuthRaw, _, err = UpstreamCredentials(d)
	return err
}
