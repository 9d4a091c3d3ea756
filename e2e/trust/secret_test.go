package trust

import (
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// newRobotSecret makes the secret of a robot and its stored form.
func newRobotSecret(t *testing.T) (secret, stored string) {
	t.Helper()
	return authn.NewSecret(authn.SecretRobot)
}
