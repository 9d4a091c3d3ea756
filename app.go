package registryauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// App holds what the sites of one configuration share: the realms, and the
// signing keys of their registry tokens. It needs no configuration of its own.
type App struct {
	// Where signing keys are kept. Default: Caddy's own storage. Several
	// gateways that share a storage share their keys.
	StorageRaw json.RawMessage `json:"storage,omitempty" caddy:"namespace=caddy.storage inline_key=module"`

	storage certmagic.Storage
	logger  *zap.Logger

	mu     sync.Mutex
	realms map[string]*realm
	wanted []string // realms that other modules refer to
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "registry_auth", New: func() caddy.Module { return new(App) }}
}

// Provision finds the storage. It makes no key and touches no network: it
// also runs for `caddy validate`.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	a.realms = make(map[string]*realm)
	a.storage = ctx.Storage()
	if a.StorageRaw != nil {
		module, err := ctx.LoadModule(a, "StorageRaw")
		if err != nil {
			return fmt.Errorf("loading storage: %w", err)
		}
		if a.storage, err = module.(caddy.StorageConverter).CertMagicStorage(); err != nil {
			return fmt.Errorf("opening storage: %w", err)
		}
	}
	return nil
}

// Start opens the signing keys of every realm, making them on the first run.
// Requests that come before that are answered with 503 and Retry-After.
func (a *App) Start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, name := range a.wanted {
		if _, err := a.find(name); err != nil {
			errs = append(errs, err)
		}
	}
	for _, r := range a.realms {
		if err := r.start(a.storage); err != nil {
			errs = append(errs, fmt.Errorf("realm %q: %w", r.name, err))
		}
	}
	return errors.Join(errs...)
}

// Stop ends the background work of the realms.
func (a *App) Stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.realms {
		r.stop()
	}
	return nil
}

// register adds a realm. The same site may be routed in several places, and
// then the same realm is declared again; two different ones need two names.
func (a *App) register(r *realm) (*realm, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.realms[r.name]
	if !ok {
		a.realms[r.name] = r
		return r, nil
	}
	if !bytes.Equal(known.fingerprint, r.fingerprint) {
		return nil, fmt.Errorf("realm %q is declared twice with different settings: give each registry_auth a name of its own with `realm <name>`", r.name)
	}
	return known, nil
}

// want notes that a module refers to a realm, which may be declared later;
// Start fails if it never is.
func (a *App) want(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wanted = append(a.wanted, name)
}

// realm returns the realm of that name; an empty name means the only one.
func (a *App) realm(name string) (*realm, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.find(name)
}

func (a *App) find(name string) (*realm, error) {
	if r, ok := a.realms[name]; ok {
		return r, nil
	}
	if name == "" && len(a.realms) == 1 {
		for _, r := range a.realms {
			return r, nil
		}
	}
	names := make([]string, 0, len(a.realms))
	for n := range a.realms {
		names = append(names, n)
	}
	if name == "" {
		return nil, fmt.Errorf("name one of the realms %q", names)
	}
	return nil, fmt.Errorf("no registry_auth declares realm %q, there is %q", name, names)
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
