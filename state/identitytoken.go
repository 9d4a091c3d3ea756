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
	// Replaced are the hashes that it had before it was rotated, the newest
	// last.
	Replaced []ReplacedHash `json:"replaced,omitempty"`
	// ProviderSession is the identity provider's "sid" of the sign-in.
	ProviderSession string `json:"sid,omitempty"`
	// Origin and OriginID are the credential that it was got with.
	Origin   string `json:"origin,omitempty"`
	OriginID string `json:"origin_id,omitempty"`
}

// ReplacedHash is that of a secret which was rotated away.
type ReplacedHash struct {
	Hash string `json:"hash"`
	// Until is how long it is still good, for a client that did not get the
	// answer with its successor. Who shows it later has it from somewhere else.
	Until time.Time `json:"until"`
}

// IdentityTokenView is what audit events and pages say of an identity token.
type IdentityTokenView struct {
	User     string        `json:"user"`
	Service  string        `json:"service"`
	ClientID string        `json:"client_id,omitempty"`
	Limits   []authn.Limit `json:"limits"`
	Remote   string        `json:"remote,omitempty"`
	Agent    string        `json:"agent,omitempty"`
	Created  time.Time     `json:"created"`
	Expires  time.Time     `json:"expires"`
	Origin   string        `json:"origin,omitempty"`
}

// View returns the token without what proves it.
func (v *IdentityToken) View() IdentityTokenView {
	return IdentityTokenView{
		User: v.User, Service: v.Service, ClientID: v.ClientID, Limits: v.Limits,
		Remote: v.Remote, Agent: v.Agent, Created: v.Created, Expires: v.Expires, Origin: v.Origin,
	}
}

func (v *IdentityToken) ended(now time.Time) bool {
	return !now.Before(v.Expires) || v.Idle > 0 && now.After(v.Used.Add(v.Idle))
}

// Ended reports whether the token is over.
func (v *IdentityToken) Ended(now time.Time) bool { return v.ended(now) }
