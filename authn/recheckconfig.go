package authn

import (
	"fmt"
	"time"
)

// RecheckConfig says how people are asked about who have something that lasts:
// access tokens, docker logins, sessions.
type RecheckConfig struct {
	// How often the provider is asked whether a user is still there: an
	// identity provider with the refresh token that it gave at sign-in, a
	// directory by its service account; a negative value for never. Default:
	// 15 minutes.
	Recheck Duration `json:"recheck,omitempty"`

	// How long users who could not be asked about go on, because the provider
	// is away; a negative value for ever. Default: 24 hours.
	RecheckGrace Duration `json:"recheck_grace,omitempty"`

	// How long users go on without a new sign-in who cannot be asked about:
	// whom the provider gave no refresh token for, or of a directory without
	// a service account; a negative value for ever. Default: 30 days.
	SignInMaxAge Duration `json:"sign_in_max_age,omitempty"`
}

// Defaults of a [RecheckConfig].
const (
	minRecheck          = time.Second
	defaultRecheck      = 15 * time.Minute
	defaultRecheckGrace = 24 * time.Hour
	defaultSignInMaxAge = 30 * 24 * time.Hour
)

// Rechecks returns how often users are asked about, and how long they go on
// where that is not possible at the moment, and where it never is; negative:
// never and for ever.
func (c RecheckConfig) Rechecks() (every, grace, maxAge time.Duration) {
	return c.Recheck.OrDefault(defaultRecheck), c.RecheckGrace.OrDefault(defaultRecheckGrace), c.SignInMaxAge.OrDefault(defaultSignInMaxAge)
}

func (c RecheckConfig) checkRechecks() error {
	every, _, maxAge := c.Rechecks()
	switch {
	case every >= 0 && every < minRecheck || every > 24*time.Hour:
		return fmt.Errorf("recheck %s is not between %s and 24h", every, minRecheck)
	case maxAge >= 0 && maxAge < time.Minute:
		return fmt.Errorf("sign_in_max_age %s is shorter than a minute", maxAge)
	}
	return nil
}
