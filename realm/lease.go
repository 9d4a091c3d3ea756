package realm

import (
	"sync/atomic"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
)

// memory is what a realm remembers from one configuration to the next.
type memory struct {
	throttle *authn.Throttle
	tags     *gateway.TagLocks
	verdicts *gateway.Verdicts
}

// Destruct is called when no configuration and no request uses it any more.
func (m *memory) Destruct() error { return nil }

// lease counts the users of things that a configuration holds in the pool:
// the configuration itself and every request that it is still serving. On a
// reload Caddy cleans the old configuration up at once, while an upload may
// run on in it for minutes. The last one out gives back what is held.
type lease struct {
	holders atomic.Int64
	release func()
}

// newLease returns a lease held once, by the configuration.
func newLease(release func()) *lease {
	l := &lease{release: release}
	l.holders.Store(1)
	return l
}

// acquire reports whether the lease could be taken; it cannot once the last
// holder has left.
func (l *lease) acquire() bool {
	for {
		n := l.holders.Load()
		if n <= 0 {
			return false
		}
		if l.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// done gives one hold back.
func (l *lease) done() {
	if l.holders.Add(-1) == 0 {
		l.release()
	}
}
