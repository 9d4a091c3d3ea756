package realm

import (
	"context"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// What a realm asks of authenticators besides who a credential belongs to.
// Each is optional.
type (
	// worker does something in the background while its realm runs.
	worker interface{ Start(ctx context.Context) }

	// robotDeclarer has the robots of the configuration.
	robotDeclarer interface{ DeclaredRobots() []authn.RobotConfig }

	// robotActor has principals that rules know as robots.
	robotActor interface{ RobotNames() []string }

	// workloadNamer has workloads, whose names are listed. The robots that it
	// names are not its own.
	workloadNamer interface{ WorkloadNames() []string }

	// robotUser has principals that act as robots of the realm, which it is
	// given before the first request.
	robotUser interface{ UseRobots(robots *authn.Robots) }

	// signInProvider is where people may sign in with the browser; nil if they
	// may not.
	signInProvider interface{ SignInProvider() *authn.OIDC }

	// peopleDirectory is where people are looked up.
	peopleDirectory interface {
		Directory() *authn.LDAP
		IdentityIssuer() string
		Rechecks() (every, grace, maxAge time.Duration)
	}
)
