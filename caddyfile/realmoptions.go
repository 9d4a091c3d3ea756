package caddyfile

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

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
