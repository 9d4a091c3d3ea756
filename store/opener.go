package store

import "context"

// Opener is implemented by the Caddy modules of stores.
type Opener interface {
	// OpenStore opens the store. It may be called again after an error that
	// wraps [ErrUnavailable].
	OpenStore(ctx context.Context) (Store, error)
	// StoreKey says which store it is, without secrets: two configurations
	// with the same key share it, so that a reload leaves it open.
	StoreKey() string
}

// Sharer is implemented by an Opener whose store several gateways may have
// open at a time. What one of them holds in memory is then not enough.
type Sharer interface{ Shared() bool }
