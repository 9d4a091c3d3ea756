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
	// Plain: its cookie is that of a registry on one's own machine, without
	// https.
	Plain bool `json:"plain,omitempty"`
}

// SessionView is what audit events say of a session.
type SessionView struct {
	User    string    `json:"user"`
	Remote  string    `json:"remote,omitempty"`
	Agent   string    `json:"agent,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// View returns the session without the provider's tokens.
func (v *Session) View() SessionView {
	return SessionView{User: v.User, Remote: v.Remote, Agent: v.Agent, Created: v.Created, Expires: v.Expires}
}

// ended reports whether the session is over.
func (v *Session) ended(now time.Time) bool {
	return !now.Before(v.Expires) || v.Idle > 0 && now.After(v.Used.Add(v.Idle))
}

// Ended reports whether the session is over.
func (v *Session) Ended(now time.Time) bool { return v.ended(now) }
