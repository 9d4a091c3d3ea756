package state

import "time"

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
