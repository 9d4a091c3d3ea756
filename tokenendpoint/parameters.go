package tokenendpoint

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

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
