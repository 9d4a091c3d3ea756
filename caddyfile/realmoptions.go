package caddyfile

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

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

func (p *realmParser) upstreamAuth(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
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
		return d.Errf("upstream_auth %q: want none, passthrough, basic <user> <password> or bearer <token>", auth.Type)
	}
	if len(args) != want {
		return d.Errf("upstream_auth %s takes %d arguments, got %d", auth.Type, want-1, len(args)-1)
	}
	for _, secret := range []string{auth.Password, auth.Token} {
		if strings.Contains(secret, "{http.request.") {
			return d.Errf("upstream_auth: {file.…} with a relative path means a request header of the path matcher here; write an absolute path, {file./run/secrets/name}")
		}
	}
	p.config.UpstreamAuth = auth
	return nil
}
