package credentials

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
)

// None removes the client's credential and shows the registry nothing.
type None struct {
	upstream.Static `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (None) CaddyModule() caddy.ModuleInfo {
	return info("none", func() caddy.Module { return new(None) })
}

// UnmarshalCaddyfile reads
//
//	none
func (*None) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return noBlock(d, "none")
}

// Passthrough leaves the client's credential in the request, for a registry
// that verifies the gateway's registry tokens itself.
type Passthrough struct {
	upstream.Passthrough `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (Passthrough) CaddyModule() caddy.ModuleInfo {
	return info("passthrough", func() caddy.Module { return new(Passthrough) })
}

// UnmarshalCaddyfile reads
//
//	passthrough
func (*Passthrough) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return noBlock(d, "passthrough")
}

// Basic shows the registry a user name and a password.
type Basic struct {
	// The user. Placeholders are resolved at start.
	Username string `json:"username,omitempty"`

	// The password. Use a placeholder such as `{env.X}` or
	// `{file./run/secrets/x}`.
	Password string `json:"password,omitempty"`

	upstream.Static `json:"-"`
	login           upstream.Fixed
}

// CaddyModule returns the Caddy module information.
func (Basic) CaddyModule() caddy.ModuleInfo {
	return info("basic", func() caddy.Module { return new(Basic) })
}

// UnmarshalCaddyfile reads
//
//	basic <user> <password>
func (b *Basic) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if !d.AllArgs(&b.Username, &b.Password) {
		return d.ArgErr()
	}
	if err := caddyfile.AbsoluteFile(d, "basic", b.Password); err != nil {
		return err
	}
	return noBlock(d, "basic")
}

// Provision resolves the placeholders.
func (b *Basic) Provision(caddy.Context) (err error) {
	user, err := caddyfile.Resolve("username", b.Username)
	if err != nil {
		return err
	}
	password, err := caddyfile.Resolve("password", b.Password)
	if err != nil {
		return err
	}
	b.login = upstream.Fixed(upstream.NewLogin(user, password))
	b.Static, err = upstream.NewStatic(upstream.Login{Username: user, Password: password})
	return err
}

// Login implements [upstream.Logins].
func (b *Basic) Login(ctx context.Context) (upstream.Login, error) { return b.login.Login(ctx) }

// Forget implements [upstream.Logins].
func (*Basic) Forget(upstream.Login) {}

// Bearer shows the registry a fixed token.
type Bearer struct {
	// The token. Use a placeholder.
	Token string `json:"token,omitempty"`

	upstream.Static `json:"-"`
	login           upstream.Fixed
}

// CaddyModule returns the Caddy module information.
func (Bearer) CaddyModule() caddy.ModuleInfo {
	return info("bearer", func() caddy.Module { return new(Bearer) })
}

// UnmarshalCaddyfile reads
//
//	bearer <token>
func (b *Bearer) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if !d.AllArgs(&b.Token) {
		return d.ArgErr()
	}
	if err := caddyfile.AbsoluteFile(d, "bearer", b.Token); err != nil {
		return err
	}
	return noBlock(d, "bearer")
}

// Provision resolves the placeholder.
func (b *Bearer) Provision(caddy.Context) (err error) {
	if b.login.Bearer, err = caddyfile.Resolve("token", b.Token); err != nil {
		return err
	}
	b.Static, err = upstream.NewStatic(upstream.Login(b.login))
	return err
}

// Login implements [upstream.Logins].
func (b *Bearer) Login(ctx context.Context) (upstream.Login, error) { return b.login.Login(ctx) }

// Forget implements [upstream.Logins].
func (*Bearer) Forget(upstream.Login) {}
