package registryauth

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/boltstore"
)

// BoltStore keeps state in one file, for one gateway.
type BoltStore struct {
	// The file, which is made with mode 0600, and its folder with 0700. May
	// be a placeholder. Default: registry_auth/state.db in Caddy's data
	// directory.
	Path string `json:"path,omitempty"`

	file string
}

// CaddyModule returns the Caddy module information.
func (BoltStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: storeNamespace + ".bolt", New: func() caddy.Module { return new(BoltStore) }}
}

// UnmarshalCaddyfile reads
//
//	bolt [<path>]
func (b *BoltStore) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
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

// Provision finds out which file it is.
func (b *BoltStore) Provision(caddy.Context) (err error) {
	b.file = filepath.Join(caddy.AppDataDir(), "registry_auth", "state.db")
	if b.Path != "" {
		if b.file, err = resolve(caddy.NewReplacer(), "path", b.Path); err != nil {
			return err
		}
	}
	if b.file, err = filepath.Abs(b.file); err != nil {
		return fmt.Errorf("path: %w", err)
	}
	return nil
}

// OpenStore opens the file. While another process has it open it waits for a
// few seconds.
func (b *BoltStore) OpenStore(context.Context) (store.Store, error) { return boltstore.Open(b.file) }

// StoreKey is the file's absolute path.
func (b *BoltStore) StoreKey() string { return "bolt:" + b.file }
