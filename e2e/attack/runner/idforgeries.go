package runner

import (
	"context"
	"fmt"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/idp"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// idForgeries are the mutations of ID tokens that go beyond those of any
// token: they need the providers.
var idForgeries = map[string]func(context.Context, *Runner, jose.Object) (string, error){
	"iss_second_idp": func(_ context.Context, r *Runner, claims jose.Object) (string, error) {
		return r.stage.SecondIdP.Sign(claims) // which say that the first one issued them
	},
	"second_idp_first_kid": func(_ context.Context, r *Runner, claims jose.Object) (string, error) {
		second := r.stage.SecondIdP.Key()
		return r.idForge(claims, second.Private, second.Alg, r.stage.IdP.Key().ID).sign()
	},
	"hs256_client_secret": func(_ context.Context, r *Runner, claims jose.Object) (string, error) {
		key := r.stage.IdP.Key()
		return r.idForge(claims, key.Private, key.Alg, key.ID).signAs("HS256", jose.HMAC([]byte(idp.ClientSecret)))
	},
	"key_removed_from_jwks": keyRemovedFromJWKS,
	"_claim_sources":        groupsElsewhere,
	"_claim_names":          groupsElsewhere,
	"sub_1MiB": func(_ context.Context, r *Runner, claims jose.Object) (string, error) {
		return r.stage.IdP.Sign(claims.With("sub", strings.Repeat("a", 1<<20)))
	},
	"groups_overage": groupsElsewhere,
}

// groupsElsewhere is what Azure AD sends to members of very many groups: no
// groups, but a place to ask for them.
func groupsElsewhere(_ context.Context, r *Runner, claims jose.Object) (string, error) {
	return r.stage.IdP.Sign(claims.With("groups", nil).
		With("_claim_names", jose.Object{"groups": "src1"}).
		With("_claim_sources", jose.Object{"src1": jose.Object{"endpoint": r.collab.URL + "/groups"}}))
}

// keyRemovedFromJWKS returns a token of a key that the provider published
// until a moment ago. The gateway knows the key: it has taken a token of it.
func keyRemovedFromJWKS(ctx context.Context, r *Runner, claims jose.Object) (string, error) {
	provider := r.stage.IdP
	current := provider.Key()
	old, err := idp.NewKey("RS256")
	if err != nil {
		return "", err
	}
	token, err := r.idForge(claims, old.Private, old.Alg, old.ID).sign()
	if err != nil {
		return "", err
	}
	provider.Publish(current, old)
	defer provider.Publish(current)
	if err := r.until(ctx, token, 200); err != nil {
		return "", fmt.Errorf("a new key of the provider is not picked up: %w", err)
	}
	provider.Publish(current)
	if err := r.until(ctx, token, 401); err != nil {
		return "", fmt.Errorf("a withdrawn key of the provider stays trusted: %w", err)
	}
	return token, nil
}
