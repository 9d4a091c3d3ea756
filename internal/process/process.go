// Package process has what the process has once, however many realms and
// configurations there are.
package process

import (
	"errors"
	"runtime"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// Pool holds what outlives a configuration: a reload that changes nothing
// about an identity provider must not throw its keys away, and one that
// changes anything at all must not forget who has been guessing passwords.
var Pool = caddy.NewUsagePool()

// Hashing bounds slow password hashes: the limit is the machine's.
var Hashing = authn.NewHashPool(max(1, runtime.GOMAXPROCS(0)-1))

// Verified remembers passwords that a slow hash was computed for, so that a
// reload does not make every robot's next request slow.
var Verified = authn.NewVerifiedCache()

// Show makes collectors visible in the metrics of a configuration. They live
// as long as the process and are registered with each one: counters survive a
// reload, and two sites share them.
func Show(ctx caddy.Context, collectors ...prometheus.Collector) error {
	registry := ctx.GetMetricsRegistry()
	for _, c := range collectors {
		if err := registry.Register(c); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
			return err
		}
	}
	return nil
}
