package tokenendpoint

import (
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

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
	// Err is why there is no token; nil for 200.
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
