package state

import (
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// APIKey is a key of the management API. Its id is the public id of the
// secret.
type APIKey struct {
	Name   string   `json:"name"`
	Hash   string   `json:"hash"`
	Scopes []string `json:"scopes"` // "robots:read" …, "*" for all
	From   []string `json:"from,omitempty"`

	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
	Disabled  bool      `json:"disabled,omitempty"`
	// Bootstrap: it ends as soon as there is a key that lasts.
	Bootstrap bool `json:"bootstrap,omitempty"`
}

// RoleMapping gives a principal a role. Its id is the principal.
type RoleMapping struct {
	// Principal is the subject: "user:alice", "group:dev", "robot:ci", or, as
	// Apicurio Registry has it, the plain name of a user.
	Principal string `json:"principal"`
	// PrincipalName is for people.
	PrincipalName string `json:"principal_name,omitempty"`
	Role          string `json:"role"`
	// Patterns are the repositories it holds for; none: all.
	Patterns []string `json:"patterns,omitempty"`
	// NotAfter is when it ends; zero: never.
	NotAfter time.Time `json:"not_after,omitzero"`
}

// Project is a stored project. Its id is its name.
type Project struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Patterns    []string `json:"patterns"`
	// Members are who may do what in it.
	Members   []authz.Grant `json:"members,omitempty"`
	Immutable []string      `json:"immutable,omitempty"` // tag patterns
	ReadOnly  bool          `json:"read_only,omitempty"`
}

// Setting is one switch or value. Ids: "read_only", "read_only/<project>".
type Setting struct {
	On      bool      `json:"on,omitempty"`
	Text    string    `json:"text,omitempty"`
	Number  int       `json:"number,omitempty"`
	Changed time.Time `json:"changed,omitzero"`
	By      string    `json:"by,omitempty"`
}

// SettingReadOnly is the id of the setting for the whole realm.
const SettingReadOnly = "read_only"

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

// CredentialSession is the kind of credential that a session is.
const CredentialSession = "session"

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

// BootstrapID is the id of the only [Bootstrap] record.
const BootstrapID = "bootstrap"

// Bootstrap is how far a realm has got in making its first administrator. Who
// changes it under a precondition has won against every other gateway.
type Bootstrap struct {
	// Index counts the resets: to write it into a file is what proves to be
	// somebody who may reset.
	Index int `json:"index"`
	// Done is when the first administrator was made; zero: not yet.
	Done time.Time `json:"done,omitzero"`
	// By is how: "call", "admin_key_file" or "bootstrap_file"; Key is the
	// public id of the key.
	By  string `json:"by,omitempty"`
	Key string `json:"key,omitempty"`
	// Reopened: a reset has opened it again, whatever keys there are.
	Reopened bool `json:"reopened,omitempty"`
	// File is when the declarative file was applied, or passed over.
	File time.Time `json:"file,omitzero"`

	// SecretHash is the hash of the secret that a gateway has generated,
	// SecretAt where it was written: "host:path".
	SecretHash string `json:"secret_hash,omitempty"`
	SecretAt   string `json:"secret_at,omitempty"`
}

// Once is a call that was done with an idempotency key. Its id is a hash of
// who called what with which key.
type Once struct {
	// Request is a hash of what was asked.
	Request string `json:"request"`
	// Status, Location and Answer are what was told; the answer is sealed
	// with the caller's credential, for there may be a secret in it.
	Status   int       `json:"status"`
	Location string    `json:"location,omitempty"`
	Answer   []byte    `json:"answer,omitempty"`
	Created  time.Time `json:"created"`
	Until    time.Time `json:"until"`
}
