// Package stores has the Caddy modules of the stores.
package stores

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/boltstore"
)

func init() {
	caddy.RegisterModule(Bolt{})
	caddy.RegisterModule(Postgres{})
}

// Interface guards
var (
	_ store.Opener      = (*Bolt)(nil)
	_ caddy.Provisioner = (*Bolt)(nil)
	_ store.Opener      = (*Postgres)(nil)
	_ store.Sharer      = (*Postgres)(nil)
	_ caddy.Provisioner = (*Postgres)(nil)
)

// Bolt keeps state in one file, for one gateway.
type Bolt struct {
	// The file, which is made with mode 0600, and its folder with 0700. May
	// be a placeholder. Default: registry_auth/state.db in Caddy's data
	// directory.
	Path string `json:"path,omitempty"`

	file string
}

// CaddyModule returns the Caddy module information.
func (Bolt) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.StoreNamespace + ".bolt", New: func() caddy.Module { return new(Bolt) }}
}

// UnmarshalCaddyfile reads
//
//	bolt [<path>]
func (b *Bolt) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		b.Path = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("unrecognized option %q: bolt has none", d.Val())
	}
	return nil
}

// Provision resolves placeholders in the path.
func (b *Bolt) Provision(caddy.Context) (err error) {
	if b.Path == "" {
		return nil
	}
	if b.file, err = caddyfile.Resolve("path", b.Path); err != nil {
		return err
	}
	if b.file, err = filepath.Abs(b.file); err != nil {
		return fmt.Errorf("path: %w", err)
	}
	return nil
}

// path is the file; of a module that nobody has configured, the default.
func (b *Bolt) path() string {
	if b.file != "" {
		return b.file
	}
	return filepath.Join(caddy.AppDataDir(), "registry_auth", "state.db")
}

// OpenStore opens the file. While another process has it open it waits for a
// few seconds.
func (b *Bolt) OpenStore(context.Context) (store.Store, error) { return boltstore.Open(b.path()) }

// StoreKey names the file.
func (b *Bolt) StoreKey() string { return "bolt:" + b.path() }
