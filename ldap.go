package registryauth

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// LDAP is the authenticator for the passwords of people in a directory.
type LDAP struct {
	authn.LDAPConfig

	// Certificate authorities for the connection to the directory.
	// Default: those of the operating system.
	CARaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	directory ldapDirectory
	poolKey   string
}

// ldapDirectory is an authenticator in the pool: a reload that leaves its
// settings alone keeps the connections and who has signed in.
type ldapDirectory struct{ *authn.LDAP }

// Destruct lets go of idle connections; requests in flight may still sign in.
func (d ldapDirectory) Destruct() error {
	d.Close()
	return nil
}

// CaddyModule returns the Caddy module information.
func (LDAP) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + "." + authn.LDAPName, New: func() caddy.Module { return new(LDAP) }}
}

// UnmarshalCaddyfile reads an `ldap` block.
func (l *LDAP) UnmarshalCaddyfile(d *caddycf.Dispenser) (err error) {
	if !d.Next() {
		return d.ArgErr()
	}
	l.LDAPConfig, l.CARaw, err = caddyfile.LDAP(d)
	return err
}

// Provision resolves the placeholder of the service account's password and
// prepares the authenticator; it does not touch the network.
func (l *LDAP) Provision(ctx caddy.Context) (err error) {
	config := l.LDAPConfig
	if config.ServicePassword != "" {
		if config.ServicePassword, err = caddyfile.Resolve("service_password", config.ServicePassword); err != nil {
			return err
		}
	}
	roots, err := l.roots(ctx)
	if err != nil {
		return err
	}
	key, err := settingsKey(authn.LDAPName, config, l.CARaw)
	if err != nil {
		return err
	}
	value, _, err := process.Pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		a, err := authn.NewLDAP(config, authn.LDAPOptions{Roots: roots, Logger: caddy.Log().Named("registry_auth.ldap")})
		return ldapDirectory{a}, err
	})
	if err != nil {
		return err
	}
	l.poolKey = key
	l.directory, _ = value.(ldapDirectory)
	return nil
}

// roots are the certificate authorities to trust, nil for the system's.
func (l *LDAP) roots(ctx caddy.Context) (*x509.CertPool, error) {
	if l.CARaw == nil {
		return nil, nil
	}
	module, err := ctx.LoadModule(l, "CARaw")
	if err != nil {
		return nil, fmt.Errorf("loading trust_pool: %w", err)
	}
	authority, ok := module.(caddytls.CA)
	if !ok || authority.CertPool() == nil {
		return nil, errNoCertificates
	}
	return authority.CertPool(), nil
}

// AuthenticatorName tells the directories of a realm apart.
func (l *LDAP) AuthenticatorName() string { return l.directory.Name() }

// NamePrefix is what names of this directory's people start with.
func (l *LDAP) NamePrefix() string { return l.Prefix }

// PeoplesPasswords reports that people's passwords are taken.
func (l *LDAP) PeoplesPasswords() bool { return true }

// Cleanup gives the authenticator back to the pool.
func (l *LDAP) Cleanup() error {
	if l.poolKey == "" {
		return nil
	}
	_, err := process.Pool.Delete(l.poolKey)
	l.poolKey = ""
	return err
}

// Authenticate signs in to the directory.
func (l *LDAP) Authenticate(ctx context.Context, c *authn.Credential) (*authn.Principal, error) {
	return l.directory.Authenticate(ctx, c)
}

// Directory is what people are looked up in.
func (l *LDAP) Directory() *authn.LDAP { return l.directory.LDAP }
