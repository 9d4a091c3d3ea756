package state

import "time"

// Session is a browser that somebody signed in with. Its id is the hash of
// the cookie's value.
type Session struct {
	User   string `json:"user"` // id of the [User]
	Issuer string `json:"issuer,omitempty"`
	// ProviderSession is the identity provider's "sid", for its logout.
	ProviderSession string    `json:"sid,omitempty"`
	IDToken         []byte    `json:"id_token,omitempty"` // sealed, for logging out there
	Remote          string    `json:"remote,omitempty"`
	Agent           string    `json:"agent,omitempty"`
	Created         time.Time `json:"created"`
	Expires         time.Time `json:"expires"` // at the latest, however busy
	// Used is when it was used last, to the minute; Idle how long it may rest.
	Used time.Time     `json:"used"`
	Idle time.Duration `json:"idle,omitempty"`
}

// ended reports whether the session is over.
func (v *Session) ended(now time.Time) bool {
	return !now.Before(v.Expires) || v.Idle > 0 && now.After(v.Used.Add(v.Idle))
}

// Ended reports whether the session is over.
func (v *Session) Ended(now time.Time) bool { return v.ended(now) }
