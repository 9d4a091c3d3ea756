package authn

import "time"

// Roster is implemented by authenticators that have a list of all their users.
// Whoever has left the list is a different person when the name comes back.
type Roster interface {
	// Missing returns since when a user is not on the list, or was not when it
	// was looked at last; zero if the user has been on it for as long as it is
	// followed. It must not block.
	Missing(p *Principal) (since time.Time)
	// Changes counts how often somebody has left the list.
	Changes() int
}

// Reusing is implemented by authenticators of which a subject may be that of
// somebody else later.
type Reusing interface {
	MayBeReused(subject string) bool
}

// SilentFor is how long somebody may not have been seen whom nothing vouches
// for in the meantime: who comes later under the same name is a different
// person. It is the default of [RecheckConfig.SignInMaxAge].
const SilentFor = defaultSignInMaxAge
