package realm

import (
	"maps"
	"net/http"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/gateway"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// used notes who has shown a good credential, and which. Registry tokens are
// left out: what they were got with was noted then, and a pull costs nothing.
func (run *Running) used(r *http.Request, p *authn.Principal) {
	if p.IsAnonymous() || p.Credential == authn.CredentialRegistryToken {
		return
	}
	switch {
	case p.Kind == authn.KindRobot && run.state.RobotByName(p.Name) != nil:
		run.state.Used(run.state.Robots.Kind(), p.Name, gateway.ClientAddr(r), r.UserAgent())
	case p.Credential == state.CredentialToken:
		run.state.Used(run.state.Tokens.Kind(), p.CredentialID, gateway.ClientAddr(r), r.UserAgent())
	case p.Authenticator == portal.SessionsName, p.Authenticator == authn.IdentityTokensName:
		// What these know is what was written down.
	case p.Kind == authn.KindUser:
		run.state.Seen(run.known(p))
	}
}

// known returns a user as it is written down: with the claims that rules look
// at and the address, and not those that are other ones in every token.
func (run *Running) known(p *authn.Principal) *authn.Principal {
	known := *p
	known.Claims = run.policy.load().Relevant(p).Claims
	if email, ok := p.Claims["email"]; ok {
		known.Claims = maps.Clone(known.Claims)
		known.Claims["email"] = email
	}
	return &known
}
