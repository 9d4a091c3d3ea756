package caddyfile

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// StoreNamespace is where guest modules that keep state live.
const StoreNamespace = "registry_auth.stores"

// Store reads `store <module> …` of the global option.
func Store(d *caddyfile.Dispenser) (json.RawMessage, error) {
	if !d.NextArg() {
		return nil, d.ArgErr()
	}
	name := d.Val()
	module, err := caddyfile.UnmarshalModule(d, StoreNamespace+"."+name)
	if err != nil {
		return nil, err
	}
	if _, ok := module.(store.Opener); !ok {
		return nil, d.Errf("module %s.%s is not a store, it is %T", StoreNamespace, name, module)
	}
	return caddyconfig.JSONModuleObject(module, "type", name, nil), nil
}
