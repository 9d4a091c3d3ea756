// Package tokenendpoint issues the short-lived tokens of the Docker token
// specification: the challenge that sends clients here, the endpoint itself
// for GET (Docker) and POST (OAuth2), and the keys that sign.
//
// It knows principals and accesses. Who somebody is, and what they may do, it
// asks the functions and interfaces that an [Endpoint] is given.
package tokenendpoint

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/admission"
)

// Authorizer says what principals may do; [authz.Policy] is one.
type Authorizer interface {
	// Allowed returns everything that a principal may do with the resource.
	Allowed(p *authn.Principal, q *authz.Query) authz.Action
	// Relevant returns the principal without what no decision looks at, so
	// that tokens stay small.
	Relevant(p *authn.Principal) *authn.Principal
}

// Signer turns claims into a token; [KeyRing] is one.
type Signer interface {
	Sign(payload []byte) (string, error)
}

// Endpoint is the token endpoint of one registry. It has no state, and no side
// effects but those of Identity. All fields but Identity, Evidence, Realm,
// RequestID, Record and Now are needed.
type Endpoint struct {
	// Service is the name of the registry: "service" in challenges, "aud" in
	// tokens unless an alias is asked for.
	Service string
	// Issuer is the "iss" of the tokens.
	Issuer string
	// Config has the lifetime of tokens and the aliases of the service. It
	// has been validated.
	Config Config

	// Authenticate says who shows a credential.
	Authenticate func(ctx context.Context, c *authn.Credential) (*authn.Principal, error)
	// Identity hands out refresh tokens and exchanges them; nil: there are
	// none.
	Identity IdentityTokens
	// Policy says what they may do.
	Policy Authorizer
	// Keys sign the tokens.
	Keys Signer
	// ClientIP returns the client's address, honouring trusted proxies.
	ClientIP func(*http.Request) netip.Addr
	// Evidence returns what a request shows besides its credential, or nil
	// where nobody looks at it. Nil: always nil.
	Evidence func(*http.Request) *authn.Evidence

	// Realm returns the absolute URL of this endpoint, for the challenge of
	// an answer that asks to log in.
	Realm func(*http.Request) string
	// RequestID returns the id of a request in the access log.
	RequestID func(*http.Request) string
	// Record is told about every request, for the audit log and metrics.
	Record func(*http.Request, Record)
	// Now replaces the clock in tests.
	Now func() time.Time
}

// ServeHTTP answers one token request.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{endpoint: e, w: w, r: r, start: e.now(), keycloak: e.Config.isKeycloakPath(r.URL.Path)}
	if err := admission.Check(r); err != nil {
		x.fail(refusal(err))
		return
	}
	switch r.Method {
	case http.MethodGet:
		x.grant = GrantDocker
		x.docker()
	case http.MethodPost:
		x.oauth2()
	default:
		w.Header().Set("Allow", "GET, POST")
		x.fail(&failure{
			status: http.StatusMethodNotAllowed, oauth: "invalid_request", code: answer.CodeUnsupported,
			message: "tokens are asked for with GET or POST",
		})
	}
}

func (e *Endpoint) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// exchange is one request on its way through the endpoint, and what is
// recorded of it.
type exchange struct {
	endpoint *Endpoint
	w        http.ResponseWriter
	r        *http.Request
	start    time.Time
	keycloak bool // at one of Keycloak's paths

	grant     string
	service   string
	clientID  string
	account   string
	requested []authz.Access
	principal *authn.Principal
	// identityToken is the one that the answer has, and loggedIn that it is a
	// new one.
	identityToken string
	loggedIn      bool
}
