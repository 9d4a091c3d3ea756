package management

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// Bootstrap gives a realm its first administrator, once: a call that shows the
// bootstrap secret gets a key for a short while, which makes those that last.
// Of many calls on many gateways one wins. A key or a file in the
// configuration may stand in for the call; see [BootstrapConfig].
//
// All of it hangs on one record in the store, which is only ever changed as
// long as it is as it was read.
type Bootstrap struct {
	manager   *Manager
	config    BootstrapConfig
	directory string
	host      string
	throttle  *authn.Throttle

	mu      sync.Mutex
	secrets [][sha256.Size]byte // from the configuration and the file
}

// BootstrapOptions make a [Bootstrap].
type BootstrapOptions struct {
	// Manager has the state and the static keys.
	Manager *Manager
	Config  BootstrapConfig
	// Secret is the resolved value of Config.Secret.
	Secret string
	// Directory is the realm's, in Caddy's data directory.
	Directory string
	// Host is how messages call this machine.
	Host string
}

// NewBootstrap makes a bootstrap. It touches neither the store nor files;
// see [Bootstrap.Start].
func NewBootstrap(o BootstrapOptions) (*Bootstrap, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	b := &Bootstrap{
		manager: o.Manager, config: o.Config.withDefaults(o.Directory), directory: o.Directory, host: o.Host,
		throttle: authn.NewThrottle(o.Manager.now),
	}
	if o.Config.Secret == "" {
		return b, nil
	}
	if n := len(o.Secret); n < minStaticKey {
		return nil, fmt.Errorf("bootstrap: secret has %d characters, want at least %d", n, minStaticKey)
	}
	b.secrets = [][sha256.Size]byte{sha256.Sum256([]byte(o.Secret))}
	return b, nil
}

// record returns how far things are, and the condition that it is still so.
func (b *Bootstrap) record() (state.Bootstrap, store.Precondition) {
	if item, ok := b.manager.state.Bootstraps.Get(state.BootstrapID); ok {
		return *item.Value, state.Unchanged(item)
	}
	return state.Bootstrap{}, state.Absent
}

// Status returns nil if there is no administrator yet and the call can be
// made, else an [*Error] that says why not: [CodeNotFound].
func (b *Bootstrap) Status() error {
	r, _ := b.record()
	if why := b.closed(&r); why != "" {
		return fail(CodeNotFound, "%s", why)
	}
	return nil
}

// closed says why the call cannot be made, "" if it can.
func (b *Bootstrap) closed(r *state.Bootstrap) string {
	m := b.manager
	switch {
	case b.config.Off:
		return "bootstrap is switched off in the configuration"
	case r.Reopened:
		return ""
	case !r.Done.IsZero():
		return fmt.Sprintf("bootstrap was done on %s (%s, key %s): use a key that was made then, or reset it (reset index: %d)",
			r.Done.Format(time.RFC3339), r.By, r.Key, r.Index)
	case slices.ContainsFunc(m.statics, func(k staticKey) bool { return slices.Contains(k.config.Scopes, string(ScopeAll)) }):
		return "there is an administrator's key in the configuration: use that one"
	}
	for item := range m.state.APIKeys.All() {
		if lasts(item.Value, m.now()) {
			return fmt.Sprintf("there is an administrator's key, %s: use that one, or reset bootstrap (reset index: %d)", item.Value.Name, r.Index)
		}
	}
	return ""
}

// lasts reports whether a key is an administrator's, beyond bootstrap.
func lasts(k *state.APIKey, now time.Time) bool {
	return !k.Bootstrap && !k.Disabled && slices.Contains(k.Scopes, string(ScopeAll)) && (k.Expires.IsZero() || now.Before(k.Expires))
}

// errAgain: the record was changed by somebody else; what they wrote is known
// by now.
var errAgain = errors.New("changed meanwhile")

// commit writes a change of the record. Whoever loses against another gateway
// learns first what that one has written.
func (b *Bootstrap) commit(ctx context.Context, tx *state.Tx) error {
	err := b.manager.state.Commit(ctx, tx)
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) {
		return err
	}
	const patience = 5 * time.Second
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := b.manager.state.CaughtUp(wait, conflict.Revision); err != nil {
		return err
	}
	return errAgain
}

// retry does something until no other gateway is in the way.
func retry(do func() error) error {
	const most = 20
	var err error
	for range most {
		if err = do(); !errors.Is(err, errAgain) {
			return err
		}
	}
	return fail(CodeConflict, "other gateways keep changing how bootstrap stands")
}
