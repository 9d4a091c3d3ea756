package tokenendpoint

import (
	"context"
	"fmt"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// IdentityTokens hands out and exchanges the refresh tokens of the Docker
// token protocol, which clients keep instead of a password.
type IdentityTokens interface {
	// IssueIdentityToken returns a new one for who was authenticated, "" if
	// there is none for such a principal or credential.
	// [authn.ErrUnavailable]: not now.
	IssueIdentityToken(ctx context.Context, p *authn.Principal, c authn.TokenClient) (string, error)
	// ExchangeIdentityToken takes note that p, who was authenticated by
	// secret, exchanges it, and returns the one to go on with, "" if the
	// client asks for none. An error refuses the exchange.
	ExchangeIdentityToken(ctx context.Context, p *authn.Principal, secret string, c authn.TokenClient) (string, error)
}

// refresh authenticates the holder of an identity token (RFC 6749 §6).
func (x *exchange) refresh(p parameters) *failure {
	if x.endpoint.Identity == nil {
		return unsupportedGrant("the grant type is not supported; use \"password\"")
	}
	x.grant = GrantRefresh
	secret := p.get("refresh_token")
	if secret == "" {
		return badRequest("the parameter \"refresh_token\" is missing")
	}
	credential := &authn.Credential{Scheme: authn.SchemeIdentityToken, Secret: secret, Remote: x.endpoint.ClientIP(x.r)}
	if f := x.authenticate(credential); f != nil {
		return f
	}
	next, err := x.endpoint.Identity.ExchangeIdentityToken(x.r.Context(), x.principal, secret, x.client(p.get("access_type") == "offline"))
	if err != nil {
		return refusal(err)
	}
	x.identityToken = next
	return nil
}

// login gives who was authenticated an identity token, if the client keeps
// one.
func (x *exchange) login(wanted bool) *failure {
	if !wanted || x.endpoint.Identity == nil || x.principal.IsAnonymous() {
		return nil
	}
	token, err := x.endpoint.Identity.IssueIdentityToken(x.r.Context(), x.principal, x.client(true))
	if err != nil {
		return unavailable(fmt.Errorf("identity token: %w", err))
	}
	x.identityToken, x.loggedIn = token, token != ""
	return nil
}

func (x *exchange) client(renew bool) authn.TokenClient {
	c := authn.TokenClient{Service: x.service, ClientID: x.clientID, Renew: renew, Remote: x.endpoint.ClientIP(x.r), Agent: x.r.UserAgent()}
	if x.endpoint.RequestID != nil {
		c.RequestID = x.endpoint.RequestID(x.r)
	}
	return c
}

func unsupportedGrant(message string) *failure {
	f := badRequest(message)
	f.oauth = "unsupported_grant_type"
	return f
}
