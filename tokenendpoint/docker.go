package tokenendpoint

import (
	"errors"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// docker answers GET as the Docker token specification has it: credentials in
// the Authorization header, if any, and the rest in the query.
func (x *exchange) docker() {
	e := x.endpoint
	if len(x.r.URL.RawQuery) > maxQuery {
		x.fail(badRequest("too many scopes: ask for one token for each repository"))
		return
	}
	p, err := parseParameters(x.r.URL.RawQuery)
	if err != nil {
		x.fail(badRequest(err.Error()))
		return
	}
	if f := x.read(p); f != nil {
		x.fail(f)
		return
	}
	credential, err := authn.FromHeader(x.r.Header, e.ClientIP(x.r))
	if err != nil {
		x.fail(refusal(err))
		return
	}
	if f := x.authenticate(credential); f != nil {
		x.fail(f)
		return
	}
	// A login check without credentials must not succeed: Docker would
	// believe that no login is needed and never send any.
	if x.principal.IsAnonymous() && strings.Join(p["scope"], "") == "" {
		x.fail(unauthorized("log in, or ask for a scope", errors.New("neither a credential nor a scope")))
		return
	}
	// What a browser shows by itself is no login.
	if f := x.login(p.get("offline_token") == "true" && credential.Scheme != authn.SchemeNone); f != nil {
		x.fail(f)
		return
	}
	x.issue(false)
}

// authenticate finds out who shows the credential.
func (x *exchange) authenticate(c *authn.Credential) *failure {
	if x.endpoint.Evidence != nil {
		c.Evidence = x.endpoint.Evidence(x.r)
	}
	p, err := x.endpoint.Authenticate(x.r.Context(), c)
	switch {
	case err != nil:
		return refusal(err)
	case p == nil:
		return unavailable(errors.New("the authenticator answered with nobody"))
	case p.Credential == authn.CredentialRegistryToken:
		// It would be good for ever if it could be exchanged for a new one.
		return unauthorized("a registry token can't be exchanged for another one", authn.ErrInvalid)
	}
	x.principal = p
	return nil
}
