package registryauth

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/certmagic"
)

// App holds what the sites of one configuration share: the realms, and the
// signing keys of their registry tokens. It needs no configuration of its own.
type App struct {
	// Where signing keys are kept. Default: Caddy's own storage. Several
	// gateways that share a storage share their keys.
	StorageRaw json.RawMessage `json:"storage,omitempty" caddy:"namespace=caddy.storage inline_key=module"`

	storage certmagic.Storage
	realms  *directory
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "registry_auth", New: func() caddy.Module { return new(App) }}
}

// Provision finds the storage. It makes no key and touches no network: it
// also runs for `caddy validate`.
func (a *App) Provision(ctx caddy.Context) error {
	a.realms = newDirectory()
	a.storage = ctx.Storage()
	if a.StorageRaw != nil {
		module, err := ctx.LoadModule(a, "StorageRaw")
		if err != nil {
			return fmt.Errorf("loading storage: %w", err)
		}
		converter, ok := module.(caddy.StorageConverter)
		if !ok {
			return fmt.Errorf("storage module %T is no storage", module)
		}
		if a.storage, err = converter.CertMagicStorage(); err != nil {
			return fmt.Errorf("opening storage: %w", err)
		}
	}
	return nil
}

// Start opens the signing keys of every realm, making them on the first run.
// Requests that come before that are answered with 503 and Retry-After.
func (a *App) Start() error {
	errs := []error{a.realms.check()}
	for _, r := range a.realms.all() {
		if err := r.start(a.storage); err != nil {
			errs = append(errs, fmt.Errorf("realm %q: %w", r.name, err))
		}
	}
	return errors.Join(errs...)
}

// Stop ends the background work of the realms.
func (a *App) Stop() error {
	for _, r := range a.realms.all() {
		r.stop()
	}
	return nil
}

// appOf returns the configuration's app, which is there even if nobody has
// configured it.
func appOf(ctx caddy.Context) (*App, error) {
	module, err := ctx.App("registry_auth")
	if err != nil {
		return nil, fmt.Errorf("loading the registry_auth app: %w", err)
	}
	app, ok := module.(*App)
	if !ok {
		return nil, fmt.Errorf("the registry_auth app is a %T", module)
	}
	return app, nil
}

// parseGlobalOption reads the global option:
//
//	registry_auth {
//		storage <module> …
//	}
func parseGlobalOption(d *caddyfile.Dispenser, previous any) (any, error) {
	if previous != nil {
		return nil, d.Err("registry_auth is already specified in the global options")
	}
	app := new(App)
	d.Next() // the option's name
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch d.Val() {
		case "storage":
			if app.StorageRaw != nil {
				return nil, d.Err("storage already specified")
			}
			if !d.NextArg() {
				return nil, d.ArgErr()
			}
			name := d.Val()
			module, err := caddyfile.UnmarshalModule(d, "caddy.storage."+name)
			if err != nil {
				return nil, err
			}
			if _, ok := module.(caddy.StorageConverter); !ok {
				return nil, d.Errf("module %s is not a storage module", name)
			}
			app.StorageRaw = caddyconfig.JSONModuleObject(module, "module", name, nil)
		default:
			return nil, d.Errf("unrecognized option %q: want storage", d.Val())
		}
	}
	return httpcaddyfile.App{Name: "registry_auth", Value: caddyconfig.JSON(app, nil)}, nil
}
