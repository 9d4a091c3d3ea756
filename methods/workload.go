package methods

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// Workload is the authenticator for CI jobs and service accounts of one
// issuer: the OIDC token of the job is its credential, and no secret is kept
// anywhere. In a Caddyfile, `workload` blocks declare it; those that name the
// same issuer are mappings of one authenticator.
type Workload struct {
	authn.WorkloadConfig
	caddyfile.Trust
	Held
}

// CaddyModule returns the Caddy module information.
func (Workload) CaddyModule() caddy.ModuleInfo {
	return info(authn.WorkloadName, func() caddy.Module { return new(Workload) })
}

// Provision prepares the verifier; it does not touch the network.
func (w *Workload) Provision(ctx caddy.Context) error {
	transport, err := w.Transport(ctx)
	if err != nil {
		return err
	}
	// Apart from the verifier, so that a change of the settings does not let
	// tokens be used again.
	spent, err := pooled(&w.Held, "workload-spent:"+w.Issuer, func() (*authn.SpentTokens, error) { return authn.NewSpentTokens(), nil })
	if err != nil {
		return err
	}
	return w.hold(authn.WorkloadName, []any{w.WorkloadConfig, w.CARaw}, func() (described, error) {
		return authn.NewWorkload(w.WorkloadConfig, spent, authn.Options{Transport: transport, When: caddyfile.CompileClaims, Logger: logger("workload")})
	})
}
