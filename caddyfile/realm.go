package caddyfile

import (
	"encoding/json"
	"fmt"
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
//		upstream_auth   none|passthrough|basic <user> <password>|bearer <token>
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
	for d.Next() {
		if d.NextArg() {
			return nil, d.ArgErr()
		}
		for nesting := d.Nesting(); d.NextBlock(nesting); {
			if err := p.option(d.Val()); err != nil {
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

func (p *realmParser) option(name string) error {
	d, c := p.d, p.config
	switch name {
	case "realm":
		return p.scalar(&c.Realm)
	case "public_url":
		return p.scalar(&c.PublicURL)
	case "service":
		return p.scalar(&c.Service)
	case "robot_prefix":
		return p.appendArgs(&c.RobotPrefixes)
	case "other_paths":
		return p.choice(&c.OtherPaths, OtherPathsPass, OtherPathsDeny)
	case "passwords":
		return p.choice(&c.Passwords, PasswordsOn, PasswordsOff)
	case "audit":
		return p.choice(&c.Audit, AuditAll, AuditChanges, AuditRefusals)
	case "audit_claims":
		return p.auditClaims()
	case "identity_headers":
		if err := p.once(name); err != nil {
			return err
		}
		headers, err := identityHeaders(d)
		c.IdentityHeaders = headers
		return err
	case "drop_headers":
		return p.appendArgs(&c.DropHeaders)
	case "insecure_pass_headers":
		return p.appendArgs(&c.PassHeaders)
	case "explain_denials":
		return p.flag(&c.ExplainDenials)
	case "upstream_auth":
		return p.upstreamAuth()
	case "extension":
		return p.extension()
	case "management":
		if err := p.once("management"); err != nil {
			return err
		}
		c.Management = new(management.Config)
		return Management(d, c.Management)
	case "token":
		if err := p.once("token"); err != nil {
			return err
		}
		return Token(d, &c.Token)
	case "portal":
		if err := p.once("portal"); err != nil {
			return err
		}
		return Portal(d, &c.Portal)
	case "robot":
		return p.robot()
	case authn.WorkloadName:
		return p.workload()
	case authn.ServiceSecretsName:
		return p.serviceSecret()
	case "project":
		project, err := Project(d, p.projectRobot)
		c.Policy.Projects = append(c.Policy.Projects, project)
		return err
	default:
		if known, err := Policy(d, name, &c.Policy); known || err != nil {
			return err
		}
		return p.authenticator(name)
	}
}

// authenticator hands the block to the guest module of that name.
func (p *realmParser) authenticator(name string) error {
	id := AuthenticatorNamespace + "." + name
	if !slices.Contains(authenticatorNames(), name) {
		return unrecognized(p.d, "registry_auth", append(authenticatorNames(), realmOptions...)...)
	}
	module, err := caddyfile.UnmarshalModule(p.d, id)
	if err != nil {
		return err
	}
	if _, ok := module.(authn.Authenticator); !ok {
		return p.d.Errf("module %s is not an authenticator, it is %T", id, module)
	}
	p.config.AuthenticatorsRaw = append(p.config.AuthenticatorsRaw, caddyconfig.JSONModuleObject(module, "type", name, nil))
	return nil
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
func (p *realmParser) auditClaims() error {
	if err := appendList(p.d, &p.config.AuditClaims); err != nil {
		return err
	}
	if len(p.config.AuditClaims) > MaxAuditClaims {
		return p.d.Errf("audit_claims: at most %d", MaxAuditClaims)
	}
	return nil
}

func (p *realmParser) extension() error {
	var e authz.Extension
	args := p.d.RemainingArgs()
	if len(args) != 2 {
		return p.d.ArgErr()
	}
	action, err := authz.ParseAction(args[1])
	if err != nil {
		return p.d.WrapErr(err)
	}
	e.Path, e.Action = args[0], action
	p.config.Extensions = append(p.config.Extensions, e)
	return nil
}

// realmOptions are the realm's own subdirectives, for spelling hints.
var realmOptions = []string{
	"realm", "public_url", "service", "oidc", "workload", "htpasswd", "local", "passwords", "robot",
	"mtls", "trusted_headers", "token_review", "external", "service_secret", "admin", "role", "project", "token", "portal", "deny",
	"anonymous_read", "authenticated_read", "catalog", "read_only",
	"owner_only", "creator_role", "role_source",
	"robot_prefix", "extension", "upstream_auth", "management", "identity_headers", "drop_headers", "insecure_pass_headers", "other_paths", "explain_denials", "audit", "audit_claims",
}

// authenticatorNames lists the guest modules that this build has.
func authenticatorNames() []string {
	var names []string
	for _, m := range caddy.GetModules(AuthenticatorNamespace) {
		names = append(names, m.ID.Name())
	}
	return names
}

// once reports a scalar that is given twice: the later one would silently win.
func (p *realmParser) once(name string) error {
	if p.seen[name] {
		return Twice(p.d, name)
	}
	p.seen[name] = true
	return nil
}

func (p *realmParser) scalar(value *string) error {
	if err := p.once(p.d.Val()); err != nil {
		return err
	}
	if !p.d.AllArgs(value) {
		return p.d.ArgErr()
	}
	return nil
}

// appendArgs appends the arguments of a line, of which there must be one.
func (p *realmParser) appendArgs(list *[]string) error {
	args := p.d.RemainingArgs()
	if len(args) == 0 {
		return p.d.ArgErr()
	}
	*list = append(*list, args...)
	return nil
}

func (p *realmParser) flag(value *bool) error {
	if err := p.once(p.d.Val()); err != nil {
		return err
	}
	if p.d.NextArg() {
		return p.d.ArgErr()
	}
	*value = true
	return nil
}

func (p *realmParser) choice(value *string, allowed ...string) error {
	name := p.d.Val()
	if err := p.scalar(value); err != nil {
		return err
	}
	if !slices.Contains(allowed, *value) {
		return p.d.Errf("%s %q: want %s", name, *value, strings.Join(allowed, " or "))
	}
	return nil
}

func (p *realmParser) upstreamAuth() error {
	if err := p.once("upstream_auth"); err != nil {
		return err
	}
	args := p.d.RemainingArgs()
	if len(args) == 0 {
		return p.d.ArgErr()
	}
	auth := &UpstreamAuth{Type: args[0]}
	want := 1
	switch auth.Type {
	case UpstreamNone, UpstreamPassthrough:
	case UpstreamBasic:
		if want = 3; len(args) == want {
			auth.Username, auth.Password = args[1], args[2]
		}
	case UpstreamBearer:
		if want = 2; len(args) == want {
			auth.Token = args[1]
		}
	default:
		return p.d.Errf("upstream_auth %q: want none, passthrough, basic <user> <password> or bearer <token>", auth.Type)
	}
	if len(args) != want {
		return p.d.Errf("upstream_auth %s takes %d arguments, got %d", auth.Type, want-1, len(args)-1)
	}
	for _, secret := range []string{auth.Password, auth.Token} {
		if strings.Contains(secret, "{http.request.") {
			return p.d.Errf("upstream_auth: {file.…} with a relative path means a request header of the path matcher here; write an absolute path, {file./run/secrets/name}")
		}
	}
	p.config.UpstreamAuth = auth
	return nil
}
