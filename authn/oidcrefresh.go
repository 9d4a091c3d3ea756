package authn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// Refreshed is what a provider gives for a refresh token: the word that its
// user is still there.
type Refreshed struct {
	// RefreshToken is the one to ask with next time. Providers that give a new
	// one each time take none twice, so it is written down before all else.
	RefreshToken string

	token *oauth2.Token
}

// Refresh asks the provider with the refresh token of a user (OpenID Connect
// Core §12). [ErrDisabled]: the provider does not let the user go on, whatever
// the reason. [ErrUnavailable]: it has not said anything about the user.
func (a *OIDC) Refresh(ctx context.Context, refreshToken string) (*Refreshed, error) {
	m, err := a.metadata(ctx)
	if err != nil {
		return nil, err
	}
	client, err := a.client(m, "")
	if err != nil {
		return nil, err
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, a.source.client)
	token, err := client.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken}).Token()
	refused := new(oauth2.RetrieveError)
	switch {
	case errors.As(err, &refused) && refused.ErrorCode == "invalid_grant" && refused.Response.StatusCode < 500:
		return nil, fmt.Errorf("%w: the provider refuses the refresh token: %.200s", ErrDisabled, refused.ErrorDescription)
	case err != nil:
		// That our own client is refused says nothing about the user.
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, tokenEndpointError(err))
	}
	return &Refreshed{RefreshToken: token.RefreshToken, token: token}, nil
}

// Describe returns how the provider describes the user now, nil if it says
// nothing. [ErrDisabled]: the user is not admitted any more, by a required
// group for example.
func (a *OIDC) Describe(ctx context.Context, r *Refreshed, subject string) (*Principal, error) {
	m, err := a.metadata(ctx)
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	if idToken, _ := r.token.Extra("id_token").(string); idToken != "" {
		signed, err := a.signed(ctx, idToken, "JWT")
		if err != nil {
			return nil, err
		}
		if azp, present := signed.claims["azp"]; present && azp != a.config.ClientID || !slices.Contains(ClaimStrings(signed.claims["aud"]), a.config.ClientID) {
			return nil, fmt.Errorf("%w: the ID token was issued to another client", ErrInvalid)
		}
		claims = signed.claims
	} else if m.UserInfo == "" || a.config.UserInfo == SwitchOff {
		return nil, nil
	} else if claims, err = a.asIDToken(ctx, m, r.token); err != nil {
		return nil, err
	}
	if claims["sub"] != subject { // OpenID Connect Core §12.2
		return nil, fmt.Errorf("%w: the provider's answer is about another user (sub)", ErrInvalid)
	}
	return a.describe(ctx, m, claims, r.token)
}

// asIDToken returns what userinfo says as if it were in an ID token, which
// providers need not give again. The claims about a token are our own.
func (a *OIDC) asIDToken(ctx context.Context, m *metadata, token *oauth2.Token) (map[string]any, error) {
	said, err := a.userInfo(ctx, m, token)
	if err != nil {
		return nil, err
	}
	claims := maps.Clone(said)
	for _, name := range tokenClaims {
		if name != "sub" {
			delete(claims, name)
		}
	}
	now := a.now()
	claims["aud"], claims["iat"], claims["exp"] = a.config.ClientID, float64(now.Unix()), float64(now.Add(time.Minute).Unix())
	return claims, nil
}
