// Package methods has the Caddy modules of the ways to authenticate, each with
// its part of the Caddyfile's grammar.
package methods

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

func init() {
	caddy.RegisterModule(OIDC{})
	caddy.RegisterModule(LDAP{})
	caddy.RegisterModule(BasicExchange{})
	caddy.RegisterModule(Robots{})
	caddy.RegisterModule(Workload{})
	caddy.RegisterModule(Htpasswd{})
	caddy.RegisterModule(Local{})
	caddy.RegisterModule(MTLS{})
	caddy.RegisterModule(TrustedHeaders{})
	caddy.RegisterModule(TokenReview{})
	caddy.RegisterModule(External{})
	caddy.RegisterModule(ServiceSecrets{})
}

// info names a module after what it is called in configurations.
func info(name string, module func() caddy.Module) caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddy.ModuleID(caddyfile.AuthenticatorNamespace + "." + name), New: module}
}

func logger(name string) *zap.Logger { return caddy.Log().Named("registry_auth." + name) }

// described is an authenticator that states its facts.
type described interface {
	authn.Authenticator
	authn.Described
}

// Held is an authenticator at work. Those in the pool outlive a reload that
// leaves their settings alone: keys that were fetched, connections, and who
// has signed in.
type Held struct {
	member authn.Member
	keys   []string // of what is held in the pool
}

// Member implements [caddyfile.Method].
func (h *Held) Member() authn.Member { return h.member }

// Authenticate implements [authn.Authenticator].
func (h *Held) Authenticate(ctx context.Context, c *authn.Credential) (*authn.Principal, error) {
	return h.member.Authenticator.Authenticate(ctx, c)
}

// Cleanup implements [caddy.CleanerUpper]: it gives back what is held.
func (h *Held) Cleanup() error {
	var errs []error
	for _, key := range h.keys {
		_, err := process.Pool.Delete(key)
		errs = append(errs, err)
	}
	h.keys = nil
	return errors.Join(errs...)
}

// keep takes an authenticator that is not shared.
func (h *Held) keep(a described, err error) error {
	if err == nil {
		h.member = authn.NewMember("", a)
	}
	return err
}

// hold takes the authenticator with these settings out of the pool, or puts it
// there. Settings are those with the values of their placeholders: another
// secret is another authenticator.
func (h *Held) hold(name string, settings any, build func() (described, error)) error {
	text, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	a, err := pooled(h, fmt.Sprintf("%s:%x", name, sha256.Sum256(text)), build)
	return h.keep(a, err)
}

// pooled takes a value out of the pool, or makes it and puts it there.
func pooled[T any](h *Held, key string, build func() (T, error)) (T, error) {
	value, _, err := process.Pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		made, err := build()
		return entry[T]{made}, err
	})
	if err != nil {
		var none T
		return none, err
	}
	h.keys = append(h.keys, key)
	return value.(entry[T]).value, nil //nolint:forcetypeassert // the key says what it is
}

// entry is a value in the pool.
type entry[T any] struct{ value T }

// closer is an authenticator that holds something open, such as connections.
type closer interface{ Close() }

// Destruct is called when no configuration uses the value any more. Requests
// in flight may still do.
func (e entry[T]) Destruct() error {
	if c, ok := any(e.value).(closer); ok {
		c.Close()
	}
	return nil
}
