package realm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
)

func init() {
	caddy.RegisterModule(App{})
	caddy.RegisterModule(AdminAPI{})
	httpcaddyfile.RegisterGlobalOption("registry_auth", parseGlobalOption)
}

// App holds what the sites of one configuration share: the realms, and the
// store of what changes at run time. It needs no configuration of its own.
type App struct {
	// Where everything is kept that changes at run time: robots, tokens,
	// signing keys. Default: one file in Caddy's data directory. Several
	// gateways that share a store share what is in it.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=registry_auth.stores inline_key=type"`

	// What encrypts signing keys and the tokens of identity providers in the
	// store: 32 bytes in base64, or a passphrase of at least 16 characters.
	// Use a placeholder such as `{env.X}` or `{file./run/secrets/x}`. All
	// gateways of a store need the same. Default: they are not encrypted.
	EncryptionKey string `json:"encryption_key,omitempty"`

	// Encryption keys that were used before: what they protect is protected
	// by the new one from the next start on.
	PreviousEncryptionKeys []string `json:"previous_encryption_keys,omitempty"`

	// For how long stored credentials are good while the store cannot be
	// reached: robots, tokens and sessions are answered with 503 then, since
	// this gateway does not hear what was withdrawn on others. Default: for as
	// long as it takes.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`

	sealing state.SealerConfig
	storage certmagic.Storage
	opener  store.Opener
	realms  *directory
	checks  []func() error

	stopBackups context.CancelFunc
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "registry_auth", New: func() caddy.Module { return new(App) }}
}

// minMaxStale is more than what a store that can be reached takes to say so.
const minMaxStale = 10 * time.Second

// Provision finds the store. It makes no key and touches no network: it
// also runs for `caddy validate`.
func (a *App) Provision(ctx caddy.Context) error {
	a.realms = newDirectory()
	a.storage = ctx.Storage()
	if a.MaxStale != 0 && time.Duration(a.MaxStale) < minMaxStale {
		return fmt.Errorf("max_stale: %s, want %s or more", time.Duration(a.MaxStale), minMaxStale)
	}
	if err := a.resolveKeys(); err != nil {
		return err
	}
	module, err := a.storeModule(ctx)
	if err != nil {
		return fmt.Errorf("loading store: %w", err)
	}
	opener, ok := module.(store.Opener)
	if !ok {
		return fmt.Errorf("store module %T is no store", module)
	}
	a.opener = opener
	return nil
}

// storeModule is the configured one, or what stands for none: a file, at its
// default place.
func (a *App) storeModule(ctx caddy.Context) (any, error) {
	if a.StoreRaw != nil {
		return ctx.LoadModule(a, "StoreRaw")
	}
	info, err := caddy.GetModule(caddyfile.StoreNamespace + ".bolt")
	if err != nil {
		return nil, err
	}
	return info.New(), nil
}

// resolveKeys resolves the placeholders of the encryption keys.
func (a *App) resolveKeys() error {
	var err error
	if a.EncryptionKey != "" {
		if a.sealing.Key, err = caddyfile.Resolve("encryption_key", a.EncryptionKey); err != nil {
			return err
		}
	}
	for _, previous := range a.PreviousEncryptionKeys {
		key, err := caddyfile.Resolve("previous encryption key", previous)
		if err != nil {
			return err
		}
		a.sealing.Previous = append(a.sealing.Previous, key)
	}
	return nil
}

// Declare makes a realm and takes its lease. The same site may be routed in
// several places: what is declared again in the same words is the same realm.
func (a *App) Declare(ctx caddy.Context, config caddyfile.Config, authenticators []authn.Member, shown upstream.Credentials) (*Realm, error) {
	mine, err := newRealm(ctx, config, authenticators, shown, a)
	if err != nil {
		return nil, err
	}
	known, err := a.realms.register(mine)
	if known == mine {
		return mine, nil
	}
	mine.Leave()
	if err != nil {
		return nil, err
	}
	if !known.lease.acquire() {
		return nil, fmt.Errorf("realm %q is being taken down", known.name)
	}
	return known, nil
}

// Want notes that a module refers to a realm, which may be declared later;
// Start fails if it never is.
func (a *App) Want(name string) { a.realms.want(name) }

// BeforeStart adds a check of what only the whole configuration tells, such as
// what stands behind a handler. If it fails, the configuration does not load.
func (a *App) BeforeStart(check func() error) { a.checks = append(a.checks, check) }

// Mention notes subjects to whom a module gives something by way of a realm,
// beside the registry.
func (a *App) Mention(realm string, subjects ...[]string) { a.realms.mention(realm, subjects...) }

// Realm returns the realm of that name; an empty name means the only one.
func (a *App) Realm(name string) (*Realm, error) { return a.realms.realm(name) }

// Start opens the store and the signing keys of every realm, making them on
// the first run.
// Requests that come before that are answered with 503 and Retry-After.
func (a *App) Start() error {
	errs := []error{a.realms.check()}
	for _, check := range a.checks {
		errs = append(errs, check())
	}
	before := apps.current()
	for _, r := range a.realms.all() {
		if err := r.start(newStorageKeys(a.storage, r.name), isReload() && !before.lacks(r.name)); err != nil {
			errs = append(errs, fmt.Errorf("realm %q: %w", r.name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	apps.add(a)
	a.startBackups()
	return nil
}

// backedUp is the opener of a store of which copies are made on a schedule.
type backedUp interface {
	RunBackups(ctx context.Context, open func(context.Context) (store.Store, error), log *slog.Logger)
}

// startBackups makes copies of the store until the configuration ends. It is
// the configuration's work, not the store's, which stays open over reloads.
func (a *App) startBackups() {
	opener, ok := a.opener.(backedUp)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.stopBackups = cancel
	go opener.RunBackups(ctx, func(context.Context) (store.Store, error) { return a.openStore() }, slogger(caddy.Log().Named("registry_auth.backup")))
}

// openStore returns the store of the realms, if one of them has opened it.
func (a *App) openStore() (store.Store, error) {
	for _, r := range a.realms.all() {
		if s := r.shared.store.opened(); s != nil {
			return s, nil
		}
		if err := r.problem.Load(); err != nil {
			return nil, *err
		}
	}
	return nil, store.ErrUnavailable
}

// isReload reports whether a configuration is in force that goes on if the one
// that is being loaded cannot start.
func isReload() bool { return caddy.ActiveContext().Context != nil }

// lacks reports whether a realm of that name was declared and has nothing to
// serve with: nothing is lost if the next one has not, either.
func (a *App) lacks(name string) bool {
	if a == nil {
		return false
	}
	r, err := a.realms.realm(name)
	return err == nil && r.running.Load() == nil
}

// Stop ends the background work of the realms.
func (a *App) Stop() error {
	apps.remove(a)
	if a.stopBackups != nil {
		a.stopBackups()
	}
	for _, r := range a.realms.all() {
		r.stop()
	}
	return nil
}

// AppOf returns the configuration's app, which is there even if nobody has
// configured it.
func AppOf(ctx caddy.Context) (*App, error) {
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
//		store          <module> …
//		encryption_key <placeholder> [<previous>...]
//		max_stale      <duration>
//	}
func parseGlobalOption(d *caddycf.Dispenser, previous any) (any, error) {
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
		case "store":
			if app.StoreRaw != nil {
				return nil, d.Err("store already specified")
			}
			var err error
			if app.StoreRaw, err = caddyfile.Store(d); err != nil {
				return nil, err
			}
		case "encryption_key":
			if app.EncryptionKey != "" {
				return nil, d.Err("encryption_key already specified")
			}
			keys := d.RemainingArgs()
			if len(keys) == 0 {
				return nil, d.ArgErr()
			}
			for _, key := range keys {
				if !strings.HasPrefix(key, "{") {
					return nil, d.Err("encryption_key: want a placeholder such as {env.REGISTRY_AUTH_KEY}, not the key itself")
				}
			}
			app.EncryptionKey, app.PreviousEncryptionKeys = keys[0], keys[1:]
		case "max_stale":
			if err := caddyfile.Span(&app.MaxStale)(d); err != nil {
				return nil, err
			}
		default:
			return nil, d.Errf("unrecognized option %q: want store, encryption_key or max_stale", d.Val())
		}
	}
	return httpcaddyfile.App{Name: "registry_auth", Value: caddyconfig.JSON(app, nil)}, nil
}

// Interface guards
var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
)
