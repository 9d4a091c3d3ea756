// Package credentials has the Caddy modules of what the gateway shows the
// registry behind it, each with its part of the Caddyfile's grammar.
package credentials

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
	"github.com/caddy-registry-auth/caddy-registry-auth/upstream"
)

func init() {
	caddy.RegisterModule(None{})
	caddy.RegisterModule(Passthrough{})
	caddy.RegisterModule(Basic{})
	caddy.RegisterModule(Bearer{})
	caddy.RegisterModule(Token{})
	caddy.RegisterModule(Exec{})
	caddy.RegisterModule(File{})
	caddy.RegisterModule(DockerConfig{})
}

// Interface guards
var (
	_ upstream.Credentials = (*None)(nil)
	_ upstream.Credentials = (*Passthrough)(nil)
	_ upstream.Credentials = (*Basic)(nil)
	_ upstream.Credentials = (*Bearer)(nil)
	_ upstream.Credentials = (*Token)(nil)
	_ upstream.Credentials = (*Exec)(nil)
	_ upstream.Credentials = (*File)(nil)
	_ upstream.Credentials = (*DockerConfig)(nil)

	_ upstream.Logins = (*Basic)(nil)
	_ upstream.Logins = (*Bearer)(nil)
	_ upstream.Logins = (*Exec)(nil)
	_ upstream.Logins = (*File)(nil)
	_ upstream.Logins = (*DockerConfig)(nil)
)

// info names a module after what it is called in configurations.
func info(name string, module func() caddy.Module) caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddy.ModuleID(caddyfile.UpstreamNamespace + "." + name), New: module}
}

// noBlock refuses a block of a module that has none.
func noBlock(d *caddycf.Dispenser, name string) error {
	if d.NextBlock(d.Nesting()) {
		return d.Errf("unrecognized option %q: %s has none", d.Val(), name)
	}
	return nil
}

// held is a credential in the pool, where it outlives a reload that leaves its
// settings alone: tokens and logins that were got stay.
type held struct{ key string }

// Cleanup implements [caddy.CleanerUpper].
func (h *held) Cleanup() error {
	if h.key == "" {
		return nil
	}
	_, err := process.Pool.Delete(h.key)
	h.key = ""
	return err
}

// entry is a value in the pool.
type entry[T any] struct{ value T }

// Destruct implements [caddy.Destructor].
func (entry[T]) Destruct() error { return nil }

// hold takes the value with these settings, in which placeholders are
// resolved, out of the pool, or makes it and puts it there.
func hold[T any](h *held, name string, settings any, build func() (T, error)) (none T, err error) {
	text, err := json.Marshal(settings)
	if err != nil {
		return none, err
	}
	key := fmt.Sprintf("upstream:%s:%x", name, sha256.Sum256(text))
	value, _, err := process.Pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		made, err := build()
		return entry[T]{made}, err
	})
	if err != nil {
		return none, err
	}
	h.key = key
	return value.(entry[T]).value, nil //nolint:forcetypeassert // the key says what it is
}

// direct is a login as a module: shown to the registry itself, or exchanged by
// [Token].
type direct struct {
	upstream.Logins `json:"-"`
	held
}

// Authorization implements [upstream.Credentials].
func (d *direct) Authorization(ctx context.Context, q upstream.Question) ([]string, error) {
	return upstream.Direct{Logins: d.Logins}.Authorization(ctx, q)
}

// Accepted implements [upstream.Credentials].
func (d *direct) Accepted(upstream.Question) {}

// Nature implements [upstream.Credentials].
func (d *direct) Nature() upstream.Nature { return upstream.Renewable }

// Refused implements [upstream.Credentials].
func (d *direct) Refused(q upstream.Question, shown, challenges []string) bool {
	return upstream.Direct{Logins: d.Logins}.Refused(q, shown, challenges)
}
