package tokenendpoint

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
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
	x.login(p.get("offline_token") == "true" && credential.Scheme != authn.SchemeNone)
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
		// It would never expire if it could be exchanged for a new one.
		return unauthorized("a registry token can't be exchanged for another one", authn.ErrInvalid)
	}
	x.principal = p
	return nil
}

// maxParameters is how many bytes of parameters are read, in the query as
// in a form.
const (
	maxQuery = 16 << 10
	maxForm  = 64 << 10
)

// parameters are those of a token request, parsed.
type parameters url.Values

// parseParameters reads a query or a form. Only "scope" may come twice (RFC
// 6749 §3.2): two readers could take different ones.
func parseParameters(encoded string) (parameters, error) {
	values, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, errors.New("the parameters are not URL-encoded")
	}
	for name, list := range values {
		if len(list) > 1 && name != "scope" {
			if len(name) > 64 {
				name = name[:64]
			}
			return nil, fmt.Errorf("the parameter %q is given twice", name)
		}
	}
	return parameters(values), nil
}

func (p parameters) get(name string) string { return url.Values(p).Get(name) }

// read takes over the parameters that both methods have.
func (x *exchange) read(p parameters) *failure {
	x.clientID, x.account = p.get("client_id"), p.get("account")
	x.service = p.get("service")
	known := x.service == x.endpoint.Service || slices.Contains(x.endpoint.Config.ServiceAliases, x.service)
	if x.keycloak {
		if f := x.keycloakService(known); f != nil {
			x.service = ""
			return f
		}
	}
	if x.service == "" {
		x.service, known = x.endpoint.Service, true
	}
	if !known {
		x.service = ""
		return badRequest("no tokens are issued here for that service; ask for " + x.endpoint.Service)
	}
	requested, err := authz.ParseScopes(p["scope"])
	if err != nil {
		return badRequest("too many scopes: ask for one token for each repository")
	}
	x.requested = requested
	return nil
}
