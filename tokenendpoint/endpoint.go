// Package tokenendpoint issues the short-lived tokens of the Docker token
// specification: the challenge that sends clients here, the endpoint itself
// for GET (Docker) and POST (OAuth2), and the keys that sign.
//
// It knows principals and accesses. Who somebody is, and what they may do, it
// asks the functions and interfaces that an [Endpoint] is given.
package tokenendpoint

import (
	"bytes"
	"context"
	"io"
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

// Signer turns claims into a token; keys.Ring of the package below is one.
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

	// AsOf returns up to which change of which history of the state everything is
	// known here. It is asked before a credential is looked at. Nil: always 0.
	AsOf func() (sequence uint64, history int64)
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
	if e.AsOf != nil {
		x.asOf, x.history = e.AsOf()
	}
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
	asOf     uint64 // see Endpoint.AsOf
	history  int64
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
	withheld      error // why a login got none
}

// How a token was asked for.
const (
	GrantDocker   = "docker"        // GET, Docker token specification
	GrantPassword = "password"      // POST, RFC 6749 §4.3
	GrantRefresh  = "refresh_token" // POST, RFC 6749 §6
)

// Record says what happened to one token request. It holds no secret. What
// the client said of itself is cut to 256 bytes and otherwise as it came:
// write it with an encoder.
type Record struct {
	// Principal is who was authenticated; nil if nobody was.
	Principal *authn.Principal
	// Requested and Granted are the accesses asked for and given.
	Requested, Granted []authz.Access
	// Grant is one of the Grant constants; empty if the request was neither.
	Grant string
	// Service is the registry that the token is for.
	Service string
	// ClientID and Account are what the client claims to be and for whom.
	// Nothing was decided by them.
	ClientID, Account string
	// TokenID is the "jti" of the token; empty if none was issued.
	TokenID string
	// IdentityToken is the public id of an identity token that was handed out;
	// empty if none was.
	IdentityToken string
	// Expires is when the token ends.
	Expires time.Time
	// Status is the status of the answer, Code its error code; empty for 200.
	Status int
	Code   answer.Code
	// Err is why there is no token; for 200, why a login got no identity token.
	Err error
	// Duration is how long it took to decide and sign.
	Duration time.Duration
}

const maxRecorded = 256

// record completes and hands over a record.
func (x *exchange) record(rec Record) {
	if x.endpoint.Record == nil {
		return
	}
	rec.Principal, rec.Requested, rec.Grant, rec.Service = x.principal, x.requested, x.grant, x.service
	rec.ClientID, rec.Account = x.clientID[:min(len(x.clientID), maxRecorded)], x.account[:min(len(x.account), maxRecorded)]
	if parsed, err := authn.ParseSecret(x.identityToken); x.loggedIn && err == nil {
		rec.IdentityToken = parsed.ID
	}
	rec.Duration = x.endpoint.now().Sub(x.start)
	x.endpoint.Record(x.r, rec)
}

// ServiceOf returns the service that a token request names, "" if it names
// none or is not readable, for a caller that has to choose among several endpoints. The
// body of a POST is there again afterwards, as far as an [Endpoint] reads it.
func ServiceOf(r *http.Request) string {
	query := r.URL.RawQuery
	if r.Method == http.MethodPost && r.Body != nil {
		body := r.Body
		read, err := io.ReadAll(io.LimitReader(body, maxForm+1))
		if err != nil {
			return ""
		}
		r.Body = &rereadBody{Reader: io.MultiReader(bytes.NewReader(read), body), Closer: body}
		query = string(read)
	}
	if len(query) > maxForm {
		return ""
	}
	p, err := parseParameters(query)
	if err != nil {
		return ""
	}
	return p.get("service")
}

// rereadBody is a body whose beginning was put back.
type rereadBody struct {
	io.Reader
	io.Closer
}
