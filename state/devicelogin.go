package state

import (
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// DeviceLogin is a login that waits for somebody to approve it with a browser
// (RFC 8628). Its id is the code that people compare, which is no secret: it
// is good for nothing without a browser that is signed in.
type DeviceLogin struct {
	Hash     string `json:"hash"` // of the device code, which the client polls with
	ClientID string `json:"client_id,omitempty"`
	// Name is how the client calls the machine that it runs on.
	Name   string `json:"name,omitempty"`
	Remote string `json:"remote,omitempty"`
	Agent  string `json:"agent,omitempty"`
	// Host is the one that the client has asked, as it calls it.
	Host string `json:"host,omitempty"`
	// Limits are what is asked for; nil: all that the person may.
	Limits  []authn.Limit `json:"limits"`
	Created time.Time     `json:"created"`
	Expires time.Time     `json:"expires"`

	Decision DeviceDecision `json:"decision,omitempty"`
	// User and Session are who has decided, and with which session.
	User    string `json:"user,omitempty"`
	Session string `json:"session,omitempty"`
	// ProviderSession is the identity provider's "sid" of that session.
	ProviderSession string `json:"sid,omitempty"`
}

// DeviceDecision is what somebody decided about a login.
type DeviceDecision string

// The decisions. While there is none, the login waits.
const (
	DeviceApproved DeviceDecision = "approved"
	DeviceRefused  DeviceDecision = "refused"
)

// DeviceLoginView is what audit events say of it.
type DeviceLoginView struct {
	ClientID string         `json:"client_id,omitempty"`
	Name     string         `json:"name,omitempty"`
	Remote   string         `json:"remote,omitempty"`
	Limits   []authn.Limit  `json:"limits"`
	Decision DeviceDecision `json:"decision,omitempty"`
}

// View returns the login without what proves it.
func (v *DeviceLogin) View() DeviceLoginView {
	return DeviceLoginView{ClientID: v.ClientID, Name: v.Name, Remote: v.Remote, Limits: v.Limits, Decision: v.Decision}
}

// Ended reports whether it is too late.
func (v *DeviceLogin) Ended(now time.Time) bool { return !now.Before(v.Expires) }

// Confirmation is a form that creates a credential and waits until the person
// who sent it has signed in again. A script on the pages' own host can send
// forms with the session of the person at the browser; it cannot sign in at
// the identity provider for them.
type Confirmation struct {
	// User is who sent the form, Session the id of the session that it was
	// sent with.
	User    string `json:"user"`
	Session string `json:"session"`
	// Path is where the form was sent, below the pages' prefix; Form is what
	// was typed in.
	Path string              `json:"path"`
	Form map[string][]string `json:"form"`
	// Attempt is the hash of what proves the sign-in that is to confirm it,
	// Asked when that began.
	Attempt string    `json:"attempt,omitempty"`
	Asked   time.Time `json:"asked,omitzero"`
	// Button is the hash of what the last page's form carries, once the
	// person has signed in.
	Button  string    `json:"button,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// Ended reports whether it is too late.
func (v *Confirmation) Ended(now time.Time) bool { return !now.Before(v.Expires) }
