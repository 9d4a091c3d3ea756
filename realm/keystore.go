package realm

import (
	"context"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

// storageKeys keeps the signing keys of a realm as one object in Caddy's
// storage, at registry_auth/<realm>/keys.json.
type storageKeys struct {
	storage certmagic.Storage
	key     string
}

func newStorageKeys(storage certmagic.Storage, realm string) storageKeys {
	return storageKeys{storage: storage, key: certmagic.StorageKeys.Safe("registry_auth") + "/" + certmagic.StorageKeys.Safe(realm) + "/keys.json"}
}

// Load returns the stored key ring, or fs.ErrNotExist.
func (s storageKeys) Load(ctx context.Context) ([]byte, error) { return s.storage.Load(ctx, s.key) }

// Save replaces the stored key ring.
func (s storageKeys) Save(ctx context.Context, ring []byte) error {
	return s.storage.Store(ctx, s.key, ring)
}

// Lock keeps other gateways on the same storage from changing the ring.
func (s storageKeys) Lock(ctx context.Context) (func(), error) {
	if err := s.storage.Lock(ctx, s.key); err != nil {
		return nil, err
	}
	return func() { _ = s.storage.Unlock(context.WithoutCancel(ctx), s.key) }, nil
}

var _ tokenendpoint.KeyStore = storageKeys{}
