package state

import "time"

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
