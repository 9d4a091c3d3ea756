package state

import (
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// IdentityToken is the refresh token of the Docker token protocol, which
// `docker login` keeps instead of a password. Its id is the public id of the
// secret.
type IdentityToken struct {
	User     string        `json:"user"` // id of the [User]
	Hash     string        `json:"hash"`
	Service  string        `json:"service"`
	ClientID string        `json:"client_id,omitempty"`
	Limits   []authn.Limit `json:"limits"` // nil: all that the user may
	Remote   string        `json:"remote,omitempty"`
	Agent    string        `json:"agent,omitempty"`
	Created  time.Time     `json:"created"`
	Expires  time.Time     `json:"expires"` // at the latest
	// Used is when it was exchanged last, Idle how long it may rest.
	Used time.Time     `json:"used"`
	Idle time.Duration `json:"idle,omitempty"`
	// Previous is the hash that it had before it was rotated, good until
	// PreviousUntil for a client that did not get the answer.
	Previous      string    `json:"previous,omitempty"`
	PreviousUntil time.Time `json:"previous_until,omitzero"`
	// ProviderSession is the identity provider's "sid" of the sign-in.
	ProviderSession string `json:"sid,omitempty"`
	// Origin and OriginID are the credential that it was got with.
	Origin   string `json:"origin,omitempty"`
	OriginID string `json:"origin_id,omitempty"`
}

func (v *IdentityToken) ended(now time.Time) bool {
	return !now.Before(v.Expires) || v.Idle > 0 && now.After(v.Used.Add(v.Idle))
}

// Ended reports whether the token is over.
func (v *IdentityToken) Ended(now time.Time) bool { return v.ended(now) }
