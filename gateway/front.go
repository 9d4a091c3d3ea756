// Package gateway is what happens to one request to the registry API: who sends
// it, whether they may, its way to the registry and back, and the record of it.
package gateway

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// Front is what requests to the registry API need of their realm. It is the
// same for all of them and does not change once the first has come.
type Front struct {
	Realm   string // its name, for log lines
	Service string // its name, for challenges

	// Policy returns what is in force. A request uses the same one from its
	// beginning to its end.
	Policy func() *authz.Policy
	Chain  *authn.Chain
	Keys   *keys.Ring
	State  *state.State
	// Used is told who has shown a good credential.
	Used func(*http.Request, *authn.Principal)

	Extensions *authz.Extensions
	Verifiers  *Verifiers
	Upstream   Upstream
	Identity   *IdentityHeaders // nil: none are sent
	Cleaning   *Cleaning

	Locks    *TagLocks
	Leases   *TagLeases // nil: no other gateway has this state
	Verdicts *Verdicts
	Recorder *Recorder

	// TokenURL is where clients get tokens, and Base is scheme and host under
	// which the client of a request reaches the registry.
	TokenURL, Base func(*http.Request) string

	Grace   time.Duration // for uploads whose token has expired
	Explain bool          // refusals name their reason
	Log     *zap.Logger
}

// Serve answers one request to the registry API, or hands it to next.
func (f *Front) Serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := exchange{front: f, w: w, r: r, next: next, policy: f.Policy()}
	return x.serve()
}

// Credential reads the credential of a request.
func (f *Front) Credential(r *http.Request) (*authn.Credential, error) {
	c, err := authn.FromHeader(r.Header, ClientAddr(r))
	if err != nil {
		return nil, err
	}
	c.Evidence = f.Evidence(r)
	return c, nil
}

// Evidence is what a request shows besides its Authorization header; nil where
// no authenticator of the realm looks at it.
func (f *Front) Evidence(r *http.Request) *authn.Evidence {
	if !f.Chain.WantsEvidence() {
		return nil
	}
	return requestEvidence(r)
}

// Authenticate finds out who sends a request to anything but the registry API.
func (f *Front) Authenticate(r *http.Request) (*authn.Principal, error) {
	credential, err := f.Credential(r)
	if err != nil {
		return nil, err
	}
	return f.Chain.Authenticate(r.Context(), credential)
}
