package methods

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// Local is the authenticator for people who are declared in the configuration.
type Local struct {
	authn.LocalConfig
	Held
}

// CaddyModule returns the Caddy module information.
func (Local) CaddyModule() caddy.ModuleInfo {
	return info(authn.LocalName, func() caddy.Module { return new(Local) })
}

// UnmarshalCaddyfile reads people who are declared in the configuration:
//
//	local {
//		prefix <prefix>
//		user   <name> [<hash> [<group...>]] {
//			password_hash <hash>
//			group         <group...>
//			disabled
//			break_glass
//		}
//	}
func (l *Local) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.Errf("local takes a block of users: local {\n\tuser %s <hash>\n}", d.Val())
	}
	options := caddyfile.Options{"prefix": caddyfile.Text(&l.Prefix), "user": l.user}
	if err := options.Read(d, "local"); err != nil {
		return err
	}
	if len(l.Users) == 0 {
		return d.Err("local: no user")
	}
	return nil
}

func (l *Local) user(d *caddycf.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	u := authn.LocalUser{Name: d.Val()}
	if args := d.RemainingArgs(); len(args) > 0 {
		u.PasswordHash, u.Groups = args[0], args[1:]
		if err := checkPasswordHash(d, "password_hash", u.PasswordHash); err != nil {
			return err
		}
	}
	options := caddyfile.Options{
		"password_hash": caddyfile.Text(&u.PasswordHash, checkPasswordHash),
		"group":         caddyfile.List(&u.Groups),
		"disabled":      caddyfile.Flag(&u.Disabled),
		"break_glass":   caddyfile.Flag(&u.BreakGlass),
	}
	if err := options.Read(d, "user"); err != nil {
		return err
	}
	if u.PasswordHash == "" {
		return d.Errf("user %s: password_hash is missing: make one with \"caddy registry-auth hash-password\"", u.Name)
	}
	for _, other := range l.Users {
		if other.Name == u.Name {
			return d.Errf("user %s is already declared", u.Name)
		}
	}
	l.Users = append(l.Users, u)
	return nil
}

// checkPasswordHash refuses what cannot be the hash of a password, while file
// and line are known.
func checkPasswordHash(d *caddycf.Dispenser, name, hash string) error {
	if err := caddyfile.AbsoluteFile(d, name, hash); err != nil || strings.Contains(hash, "{") {
		return err
	}
	if _, err := authn.ParsePasswordHash(hash); err != nil {
		return d.Errf("%s: %v", name, err)
	}
	return nil
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
	return l.keep(authn.NewLocal(config, process.Hashing, process.Verified))
}
