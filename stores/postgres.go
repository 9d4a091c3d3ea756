package stores

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/pgstore"
)

// Postgres keeps state in PostgreSQL, for any number of gateways.
type Postgres struct {
	// The connection string, a URL or keywords and values. It may hold
	// placeholders, and should where it holds a password.
	DSN string `json:"dsn,omitempty"`
	// The schema of the tables, made if it is not there. Default: the first
	// of the search path, which is "public" as a rule.
	Schema string `json:"schema,omitempty"`
	// How many connections are open at most, besides one for each realm.
	// Default: 4, or the number of CPUs if there are more.
	MaxConns int `json:"max_conns,omitempty"`

	config pgstore.Config
}

// CaddyModule returns the Caddy module information.
func (Postgres) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.StoreNamespace + ".postgres", New: func() caddy.Module { return new(Postgres) }}
}

// UnmarshalCaddyfile reads
//
//	postgres <dsn> {
//		schema    <name>
//		max_conns <n>
//	}
func (p *Postgres) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if !d.AllArgs(&p.DSN) {
		return d.ArgErr()
	}
	return caddyfile.Options{"schema": caddyfile.Text(&p.Schema), "max_conns": caddyfile.Count(&p.MaxConns)}.Read(d, "postgres")
}

// Provision resolves placeholders and checks the connection string, without
// connecting.
func (p *Postgres) Provision(caddy.Context) error {
	dsn, err := caddyfile.Resolve("dsn", p.DSN)
	if err != nil {
		return err
	}
	p.config = pgstore.Config{DSN: dsn, Schema: p.Schema, MaxConns: p.MaxConns}
	return p.config.Check()
}

// OpenStore connects, and makes the tables if need be.
func (p *Postgres) OpenStore(ctx context.Context) (store.Store, error) {
	return pgstore.Open(ctx, p.config)
}

// Shared says that other gateways may use the same store.
func (*Postgres) Shared() bool { return true }

// StoreKey is a hash of all settings.
func (p *Postgres) StoreKey() string {
	settings, _ := json.Marshal(p.config) // strings and a number: cannot fail
	hash := sha256.Sum256(settings)
	return "postgres:" + hex.EncodeToString(hash[:])
}
