package authn

import "time"

// ExpiredTokenError is the [ErrExpired] of a registry token of which nothing
// is wrong but its age. Who it was good for may go on with what they started
// in time, where there is other proof that they did.
type ExpiredTokenError struct {
	// Principal is who the token was for. Nobody has rechecked them.
	Principal *Principal
}

func (e *ExpiredTokenError) Error() string {
	return ErrExpired.Error() + ": registry token expired at " + e.Principal.Expires.UTC().Format(time.RFC3339)
}

// Unwrap returns [ErrExpired].
func (e *ExpiredTokenError) Unwrap() error { return ErrExpired }
