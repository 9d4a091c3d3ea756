package registryauth

import (
	"context"

	"github.com/caddy-registry-auth/caddy-registry-auth/store"
)

// storeNamespace is where the modules are that keep what changes at run time.
const storeNamespace = "registry_auth.stores"

// storeOpener is a module of the namespace. Provision touches neither disk nor
// network: it also runs for `caddy validate`.
type storeOpener interface {
	// OpenStore opens the store, which is the caller's to close.
	OpenStore(ctx context.Context) (store.Store, error)
	// StoreKey tells stores apart, so that a reload keeps one open that it
	// does not change. It holds no secret.
	StoreKey() string
}
