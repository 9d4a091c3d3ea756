package registryauth

import (
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// used notes who has shown a good credential, and which. Registry tokens are
// left out: what they were got with was noted then, and a pull costs nothing.
func (run *running) used(r *http.Request, p *authn.Principal) {
	if p.IsAnonymous() || p.Credential == authn.CredentialRegistryToken {
		return
	}
	switch {
	case p.Kind == authn.KindRobot && run.state.RobotByName(p.Name) != nil:
		run.state.Used(run.state.Robots.Kind(), p.Name, clientAddr(r), r.UserAgent())
	case p.Credential == state.CredentialToken:
		run.state.Used(run.state.Tokens.Kind(), p.CredentialID, clientAddr(r), r.UserAgent())
	case p.Authenticator == portal.SessionsName, p.Authenticator == authn.IdentityTokensName:
		// What these know is what was written down.
	case p.Kind == authn.KindUser:
		run.state.Seen(p)
	}
}
