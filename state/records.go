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
