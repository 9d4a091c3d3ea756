package registryauth

import (
	"context"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/boltstore"
)

// Bolt keeps state in one file.
type Bolt struct {
	Path string `json:"path,omitempty"`
}

func (b *Bolt) path() string {
	if b.Path != "" {
		return b.Path
	}
	return filepath.Join(caddy.AppDataDir(), "registry_auth", "state.db")
}

// StoreKey implements storeOpener.
func (b *Bolt) StoreKey() string { return "bolt:" + b.path() }

// OpenStore implements storeOpener.
func (b *Bolt) OpenStore(ctx context.Context) (store.Store, error) {
	return boltstore.Open(b.path())
}

// CaddyModule returns the Caddy module information.
func (Bolt) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "registry_auth.stores.bolt", New: func() caddy.Module { return new(Bolt) }}
}

// UnmarshalCaddyfile sets up the module from its Caddyfile form.
func (b *Bolt) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		b.Path = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func init() { caddy.RegisterModule(Bolt{}) }
