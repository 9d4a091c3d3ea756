package registryauth

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
	"github.com/caddy-registry-auth/caddy-registry-auth/internal/process"
)

// TokenReview is the authenticator for Kubernetes service accounts whose
// tokens the cluster's API server is asked about.
type TokenReview struct {
	authn.TokenReviewConfig

	// Certificate authorities for the connection to the API server.
	// Default: those of the operating system.
	CARaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	*authn.TokenReview `json:"-"`
	poolKey            string
}

// reviewer is a verifier in the pool: a reload that leaves its settings alone
// keeps the answers.
type reviewer struct{ *authn.TokenReview }

// Destruct has nothing to close: requests in flight may still ask.
func (reviewer) Destruct() error { return nil }

// CaddyModule returns the Caddy module information.
func (TokenReview) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddyfile.AuthenticatorNamespace + "." + authn.TokenReviewName, New: func() caddy.Module { return new(TokenReview) }}
}

// UnmarshalCaddyfile reads a `token_review` block.
func (t *TokenReview) UnmarshalCaddyfile(d *caddycf.Dispenser) (err error) {
	if !d.Next() {
		return d.ArgErr()
	}
	t.TokenReviewConfig, t.CARaw, err = caddyfile.TokenReview(d)
	return err
}

// Provision prepares the authenticator; it does not touch the network.
func (t *TokenReview) Provision(ctx caddy.Context) error {
	settings, err := json.Marshal(t)
	if err != nil {
		return err
	}
	var roots any
	if t.CARaw != nil {
		if roots, err = ctx.LoadModule(t, "CARaw"); err != nil {
			return fmt.Errorf("loading trust_pool: %w", err)
		}
	}
	transport, err := issuerTransport(roots)
	if err != nil {
		return err
	}
	key := "token_review:" + string(settings)
	value, _, err := process.Pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		a, err := authn.NewTokenReview(t.TokenReviewConfig, authn.Options{Transport: transport, Logger: caddy.Log().Named("registry_auth.token_review")})
		return reviewer{a}, err
	})
	if err != nil {
		return err
	}
	held, _ := value.(reviewer)
	t.TokenReview, t.poolKey = held.TokenReview, key
	return nil
}

// AuthenticatorName tells the clusters of a realm apart.
func (t *TokenReview) AuthenticatorName() string { return t.Name() }

// TokenIssuers are whose tokens are asked about, where they are named.
func (t *TokenReview) TokenIssuers() []string { return t.Issuers }

// Cleanup gives back what is held in the pool.
func (t *TokenReview) Cleanup() error { return giveBack(&t.poolKey) }
