package management

import (
	"errors"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// checkLifetime checks when something is to end; zero is never.
func (m *Manager) checkLifetime(wrong *problems, field string, expires time.Time, limit Duration) {
	most := time.Duration(limit)
	now := m.now()
	switch {
	case !expires.IsZero() && !expires.After(now):
		wrong.add(field, "has passed")
	case most > 0 && expires.IsZero():
		wrong.add(field, "is needed: at most %s from now", most)
	case most > 0 && expires.After(now.Add(most)):
		wrong.add(field, "is too late: at most %s from now", most)
	}
}

// checkFrom checks networks.
func (m *Manager) checkFrom(wrong *problems, field string, from []string) {
	if len(from) == 0 && m.config.RequireFrom {
		wrong.add(field, "is needed: say from which networks it is accepted")
	}
	for i, text := range from {
		if _, err := authn.ParseSource(text); err != nil {
			wrong.add(at(field, i), "%v", err)
		}
	}
}

// trimIndex takes the "permissions[0]: " off an error, which the caller knows
// better.
func trimIndex(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
