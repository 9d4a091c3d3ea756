package registryauth

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// External is the authenticator that asks an HTTP service of the operator's
// who shows a credential.
type External struct {
	authn.ExternalConfig

	// Certificate authorities for the connection to the service.
	// Default: those of the operating system.
	CARaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	*authn.External `json:"-"`
	poolKey         string
}

// asker is an authenticator in the pool: a reload that leaves its settings
// alone keeps the answers.
type asker struct{ *authn.External }

// Destruct has nothing to close: requests in flight may still ask.
func (asker) Destruct() error { return nil }

// CaddyModule returns the Caddy module information.
func (External) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + "." + authn.ExternalName, New: func() caddy.Module { return new(External) }}
}

// UnmarshalCaddyfile reads an `external` block.
func (e *External) UnmarshalCaddyfile(d *caddycf.Dispenser) (err error) {
	if !d.Next() {
		return d.ArgErr()
	}
	e.ExternalConfig, e.CARaw, err = caddyfile.External(d)
	return err
}

// Provision resolves the placeholders in the headers; it does not touch the
// network.
func (e *External) Provision(ctx caddy.Context) error {
	config := e.ExternalConfig
	config.Headers = maps.Clone(config.Headers)
	for name, value := range config.Headers {
		resolved, err := caddyfile.Resolve("header "+name, value)
		if err != nil {
			return fmt.Errorf("external %s: %w", e.URL, err)
		}
		config.Headers[name] = resolved
	}
	// With what the placeholders stand for: another secret is another service.
	settings, err := json.Marshal([]any{config, e.CARaw})
	if err != nil {
		return err
	}
	var roots any
	if e.CARaw != nil {
		if roots, err = ctx.LoadModule(e, "CARaw"); err != nil {
			return fmt.Errorf("loading trust_pool: %w", err)
		}
	}
	transport, err := issuerTransport(roots)
	if err != nil {
		return err
	}
	key := "external:" + string(settings)
	value, _, err := process.Pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		a, err := authn.NewExternal(config, authn.Options{Transport: transport, Logger: caddy.Log().Named("registry_auth.external")})
		return asker{a}, err
	})
	if err != nil {
		return err
	}
	held, _ := value.(asker)
	e.External, e.poolKey = held.External, key
	return nil
}

// AuthenticatorName tells the services of a realm apart.
func (e *External) AuthenticatorName() string { return e.Name() }

// NamePrefix is what the names start with.
func (e *External) NamePrefix() string { return e.Prefix }

// PeoplesPasswords reports whether people's passwords are taken.
func (e *External) PeoplesPasswords() bool { return e.External.PeoplesPasswords() }

// BreakGlass returns what goes on where passwords are off.
func (e *External) BreakGlass() authn.Authenticator { return e.External.BreakGlass() }

// Cleanup gives back what is held in the pool.
func (e *External) Cleanup() error { return giveBack(&e.poolKey) }

// giveBack lets go of what a module holds in the pool, once.
func giveBack(key *string) error {
	if *key == "" {
		return nil
	}
	_, err := process.Pool.Delete(*key)
	*key = ""
	return err
}
