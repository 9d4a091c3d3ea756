package registryauth

import (
	"context"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// Local is the authenticator for people who are declared in the
// configuration, such as an administrator for the day on which the identity
// provider is away.
type Local struct {
	authn.LocalConfig

	users *authn.Local
}

// CaddyModule returns the Caddy module information.
func (Local) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + "." + authn.LocalName, New: func() caddy.Module { return new(Local) }}
}

// UnmarshalCaddyfile reads a `local` block.
func (l *Local) UnmarshalCaddyfile(d *caddycf.Dispenser) (err error) {
	if !d.Next() {
		return d.ArgErr()
	}
	l.LocalConfig, err = caddyfile.Local(d)
	return err
}

// Provision resolves the placeholders of the passwords' hashes.
func (l *Local) Provision(caddy.Context) (err error) {
	config := l.LocalConfig
	config.Users = slices.Clone(config.Users)
	for i, u := range config.Users {
		if config.Users[i].PasswordHash, err = caddyfile.Resolve("password_hash", u.PasswordHash); err != nil {
			return fmt.Errorf("local: user %s: %w", u.Name, err)
		}
	}
	l.users, err = authn.NewLocal(config, process.Hashing, process.Verified)
	return err
}

// AuthenticatorName tells the lists of users of a realm apart.
func (l *Local) AuthenticatorName() string { return l.users.Name() }

// NamePrefix is what names of these users start with.
func (l *Local) NamePrefix() string { return l.Prefix }

// PeoplesPasswords says that people chose these.
func (l *Local) PeoplesPasswords() bool { return true }

// BreakGlass returns the users who are meant for emergencies.
func (l *Local) BreakGlass() authn.Authenticator { return l.users.BreakGlass() }

// Authenticate checks a user's password.
func (l *Local) Authenticate(ctx context.Context, c *authn.Credential) (*authn.Principal, error) {
	return l.users.Authenticate(ctx, c)
}

// Recheck reports whether a user who holds a registry token is still good.
func (l *Local) Recheck(p *authn.Principal, c *authn.Credential) error {
	return l.users.Recheck(p, c)
}

// GroupsNow returns the groups that a user is in.
func (l *Local) GroupsNow(p *authn.Principal) []string { return l.users.GroupsNow(p) }

// Equalize spends the time of a wrong password on an unknown user.
func (l *Local) Equalize(ctx context.Context, c *authn.Credential) error {
	return l.users.Equalize(ctx, c)
}

// EqualizeCost is how long that takes.
func (l *Local) EqualizeCost() float64 { return l.users.EqualizeCost() }
