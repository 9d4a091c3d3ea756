package runner

import (
	"context"
	"crypto"
	"slices"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// registryToken returns a registry token of somebody ("alice:team/app:pull"),
// mutated unless mutation is empty.
func (r *Runner) registryToken(ctx context.Context, mutation, argument string) (string, error) {
	login, accesses, _ := strings.Cut(argument, ":")
	if isAnonymous(login) {
		login = ""
	}
	if mutation == "iat_before_project" {
		return r.tokenBeforeProject(ctx, login)
	}
	asked := scopes(accesses)
	token, err := r.stage.Token(ctx, login, asked...)
	if err != nil {
		return "", err
	}
	f, err := r.registryForge(token)
	if err != nil {
		return "", err
	}
	if !grants(f.claims, asked) {
		// Cases want such tokens from a time when the right was there.
		entries := make([]any, 0, len(asked))
		for _, scope := range asked {
			a := parseScope(scope)
			entries = append(entries, map[string]any{"type": a.Type, "name": a.Name, "actions": a.Actions})
		}
		f.claims = f.claims.With("access", entries)
		if token, err = f.sign(); err != nil {
			return "", err
		}
	}
	if mutation == "" {
		return token, nil
	}
	return f.mutate(mutation)
}

// registryForge finds the key that a registry token is signed with.
func (r *Runner) registryForge(token string) (*forge, error) {
	f, err := newForge(token, nil, "")
	if err != nil {
		return nil, err
	}
	keys, err := r.stage.SigningKeys()
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.ID == f.header["kid"] || len(keys) == 1 {
			f.key, f.alg = k.Private, k.Alg
		}
	}
	if f.key == nil {
		return nil, unsupported("key %v is not in the gateway's storage", f.header["kid"])
	}
	f.attacker, f.collab = r.attacker, r.collab.URL
	return f, nil
}

// grants reports whether a token's access claim holds all that was asked.
func grants(claims jose.Object, asked []string) bool {
	granted := accessOf(claims)
	for _, scope := range asked {
		want := parseScope(scope)
		covered := slices.ContainsFunc(granted, func(have access) bool {
			return have.Type == want.Type && have.Name == want.Name && !slices.ContainsFunc(want.Actions, func(action string) bool {
				return action != "*" && !slices.Contains(have.Actions, action)
			})
		})
		if !covered {
			return false
		}
	}
	return true
}

// accessOf reads the access claim of a token.
func accessOf(claims jose.Object) []access {
	var out []access
	entries, _ := claims["access"].([]any)
	for _, e := range entries {
		entry, ok := e.(map[string]any)
		if !ok {
			continue
		}
		var a access
		a.Type, _ = entry["type"].(string)
		a.Name, _ = entry["name"].(string)
		actions, _ := entry["actions"].([]any)
		for _, action := range actions {
			if name, ok := action.(string); ok {
				a.Actions = append(a.Actions, name)
			}
		}
		out = append(out, a)
	}
	return out
}

// idToken returns an ID token of somebody, mutated unless mutation is empty.
func (r *Runner) idToken(ctx context.Context, mutation, person string) (string, error) {
	claims, err := r.stage.Claims(person)
	if err != nil {
		return "", unsupported("%v", err)
	}
	key := r.stage.IdP.Key()
	if mutation == "" {
		return r.stage.IdP.Sign(claims)
	}
	if special, ok := idForgeries[mutation]; ok {
		return special(ctx, r, claims)
	}
	return r.idForge(claims, key.Private, key.Alg, key.ID).mutate(mutation)
}

func (r *Runner) idForge(claims jose.Object, key crypto.Signer, alg, kid string) *forge {
	return &forge{
		header: jose.Object{"alg": alg, "kid": kid, "typ": "JWT"}, claims: claims,
		key: key, alg: alg, attacker: r.attacker, collab: r.collab.URL,
	}
}
