package methods

import (
	"github.com/caddyserver/caddy/v2"
	caddycf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/caddyfile"
)

// TokenReview is the authenticator for Kubernetes service accounts whose
// tokens the cluster's API server is asked about.
type TokenReview struct {
	authn.TokenReviewConfig
	caddyfile.Trust
	Held
}

// CaddyModule returns the Caddy module information.
func (TokenReview) CaddyModule() caddy.ModuleInfo {
	return info(authn.TokenReviewName, func() caddy.Module { return new(TokenReview) })
}

// UnmarshalCaddyfile reads a Kubernetes API server:
//
//	token_review <server> {
//		audience   <audience...>
//		issuer     <issuer...>
//		account    <namespace/name...>
//		prefix     <prefix>
//		token_file <absolute path>
//		cache_ttl  <duration>
//		timeout    <duration>
//		trust_pool <module> …
//		insecure_server
//	}
func (t *TokenReview) UnmarshalCaddyfile(d *caddycf.Dispenser) error {
	d.Next() // the module's name
	if !d.AllArgs(&t.Server) {
		return d.ArgErr()
	}
	if err := t.options().Read(d, "token_review"); err != nil {
		return err
	}
	return caddyfile.Valid(d, t.TokenReviewConfig)
}

func (t *TokenReview) options() caddyfile.Options {
	return caddyfile.Options{
		"audience":        caddyfile.List(&t.Audiences, caddyfile.NoPlaceholder),
		"issuer":          caddyfile.List(&t.Issuers),
		"account":         caddyfile.List(&t.Accounts),
		"prefix":          caddyfile.Text(&t.Prefix),
		"token_file":      caddyfile.Text(&t.TokenFile),
		"cache_ttl":       caddyfile.Span(&t.CacheTTL),
		"timeout":         caddyfile.Span(&t.Timeout),
		"trust_pool":      caddyfile.TrustPool(&t.CARaw),
		"insecure_server": caddyfile.Flag(&t.InsecureServer),
	}
}

// Provision prepares the authenticator; it does not touch the network.
func (t *TokenReview) Provision(ctx caddy.Context) error {
	transport, err := t.Transport(ctx)
	if err != nil {
		return err
	}
	return t.hold(authn.TokenReviewName, []any{t.TokenReviewConfig, t.CARaw}, func() (described, error) {
		return authn.NewTokenReview(t.TokenReviewConfig, authn.Options{Transport: transport, Logger: logger("token_review")})
	})
}
