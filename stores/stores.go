// Package stores has the Caddy modules of the stores.
package stores

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/boltstore"
	"github.com/caddy-registry-auth/caddy-registry-auth/store/pgstore"
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

	// Copies of the file that are made while it is in use. Default: none.
	Backup *Backup `json:"backup,omitempty"`

	file     string
	schedule boltstore.Schedule
}

// Backup says how often copies of the file are made.
type Backup struct {
	// How long it is from one copy to the next. Default: a day.
	Every caddy.Duration `json:"every,omitempty"`
	// How many copies are kept. Default: 7.
	Keep int `json:"keep,omitempty"`
	// The folder of the copies, which is made with mode 0700; not that of the
	// file. May be a placeholder.
	To string `json:"to,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Bolt) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.StoreNamespace + ".bolt", New: func() caddy.Module { return new(Bolt) }}
}

// UnmarshalCaddyfile reads
//
//	bolt [<path>] {
//		backup {
//			every <duration>
//			keep  <n>
//			to    <folder>
//		}
//	}
func (b *Bolt) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		b.Path = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return caddyfile.Options{"backup": b.readBackup}.Read(d, "bolt")
}

func (b *Bolt) readBackup(d *caddycf.Dispenser) error {
	if b.Backup != nil {
		return caddyfile.Twice(d, "backup")
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	b.Backup = new(Backup)
	err := caddyfile.Options{
		"every": caddyfile.Span(&b.Backup.Every), "keep": caddyfile.Count(&b.Backup.Keep), "to": caddyfile.Text(&b.Backup.To),
	}.Read(d, "backup")
	if err == nil && b.Backup.To == "" {
		return d.Err("backup: to is missing: the folder of the copies")
	}
	return err
}

// Provision resolves placeholders in the paths.
func (b *Bolt) Provision(caddy.Context) (err error) {
	if b.Path != "" {
		if b.file, err = resolvePath("path", b.Path); err != nil {
			return err
		}
	}
	if b.Backup == nil {
		return nil
	}
	b.schedule = boltstore.Schedule{
		Every: cmp.Or(time.Duration(b.Backup.Every), 24*time.Hour), Keep: cmp.Or(b.Backup.Keep, 7),
	}
	if b.schedule.To, err = resolvePath("backup: to", b.Backup.To); err != nil {
		return err
	}
	switch {
	case b.schedule.Every < minEvery:
		return fmt.Errorf("backup: every: %s, want %s or more", b.schedule.Every, minEvery)
	case b.schedule.Keep < 1:
		return fmt.Errorf("backup: keep: %d, want 1 or more", b.schedule.Keep)
	case b.schedule.To == filepath.Dir(b.path()):
		return fmt.Errorf("backup: to: %s is the folder of the store itself, with which it is lost", b.schedule.To)
	}
	return nil
}

// minEvery is as often as names of copies tell them apart, with room to make
// them.
const minEvery = time.Minute

func resolvePath(name, value string) (string, error) {
	path, err := caddyfile.Resolve(name, value)
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return path, nil
}

// RunBackups makes the copies until ctx is done. Open returns the store.
func (b *Bolt) RunBackups(ctx context.Context, open func(context.Context) (store.Store, error), log *slog.Logger) {
	if b.Backup != nil {
		b.schedule.Run(ctx, open, log)
	}
}

// path is the file; of a module that nobody has configured, the default.
func (b *Bolt) path() string {
	if b.file != "" {
		return b.file
	}
	return filepath.Join(caddy.AppDataDir(), "registry_auth", "state.db")
}

// OpenStore opens the file. While another process has it open it waits for that
// until the context ends.
func (b *Bolt) OpenStore(ctx context.Context) (store.Store, error) {
	return boltstore.Open(ctx, b.path())
}

// StoreKey names the file.
func (b *Bolt) StoreKey() string { return "bolt:" + b.path() }

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
