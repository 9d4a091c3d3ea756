package state

import "time"

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
