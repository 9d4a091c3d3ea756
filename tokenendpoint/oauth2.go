package tokenendpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// oauth2 answers POST, the OAuth2 form of the token request. All parameters
// are in the form; an Authorization header and "account" mean nothing here.
func (x *exchange) oauth2() {
	p, f := x.form()
	if f == nil {
		f = x.read(p)
	}
	if f == nil {
		f = x.authorize(p)
	}
	if f != nil {
		x.fail(f)
		return
	}
	x.issue(true)
}

// form reads the body.
func (x *exchange) form() (parameters, *failure) {
	r := x.r
	if r.URL.RawQuery != "" {
		return nil, badRequest("the parameters of a POST belong into its body")
	}
	if values := r.Header["Content-Type"]; len(values) != 1 {
		return nil, badRequest("the body must be of type application/x-www-form-urlencoded")
	} else if kind, _, err := mime.ParseMediaType(values[0]); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, badRequest("the body must be of type application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.w, r.Body, maxForm))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		f := badRequest("the body is larger than 64 KiB")
		f.status, f.code = http.StatusRequestEntityTooLarge, answer.CodeSizeInvalid
		return nil, f
	case err != nil:
		return nil, badRequest("the body can't be read")
	}
	p, err := parseParameters(string(body))
	if err != nil {
		return nil, badRequest(err.Error())
	}
	return p, nil
}

// authorize authenticates by the grant that is shown.
func (x *exchange) authorize(p parameters) *failure {
	switch p.get("grant_type") {
	case "password":
		if f := x.password(p); f != nil {
			return f
		}
		x.login(p.get("access_type") == "offline")
		return nil
	case "refresh_token":
		return x.refresh(p)
	case "":
		return badRequest("the parameter \"grant_type\" is missing")
	}
	if x.endpoint.Identity != nil {
		return unsupportedGrant("the grant type is not supported; use \"password\" or \"refresh_token\"")
	}
	return unsupportedGrant("the grant type is not supported; use \"password\"")
}

// password authenticates the holder of a user name and a secret (RFC 6749
// §4.3).
func (x *exchange) password(p parameters) *failure {
	x.grant = GrantPassword
	credential := &authn.Credential{
		Scheme: authn.SchemeBasic, Username: p.get("username"), Secret: p.get("password"),
		Remote: x.endpoint.ClientIP(x.r),
	}
	if credential.Username == "" && credential.Secret == "" {
		return badRequest("the parameters \"username\" and \"password\" are missing")
	}
	return x.authenticate(credential)
}

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

// loginPatience is how long a client waits for an identity token to be written
// down.
const loginPatience = 3 * time.Second

// login gives who was authenticated an identity token, if the client keeps
// one. If it cannot be written down the client goes on with what it has shown,
// as where there are no identity tokens.
func (x *exchange) login(wanted bool) {
	if !wanted || x.endpoint.Identity == nil || x.principal.IsAnonymous() {
		return
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), loginPatience)
	defer cancel()
	token, err := x.endpoint.Identity.IssueIdentityToken(ctx, x.principal, x.client(true))
	if err != nil {
		x.withheld = fmt.Errorf("there is no identity token: %w", err)
		return
	}
	x.identityToken, x.loggedIn = token, token != ""
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
