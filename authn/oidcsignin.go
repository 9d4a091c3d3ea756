package authn

import (
	"context"
	"crypto"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// SignInRequest is one attempt to sign in with a browser (OpenID Connect Core
// §3.1): what is sent to the provider, and what its answer must fit.
type SignInRequest struct {
	// RedirectURI is where the provider sends the browser back to.
	RedirectURI string
	// State and Nonce tie the answer and the ID token to the browser.
	State, Nonce string
	// Verifier is the secret of PKCE (RFC 7636).
	Verifier string
	// Again: the provider has to ask the person, also if it knows the browser.
	Again bool
}

// SignedIn is who signed in, and what the provider gave.
type SignedIn struct {
	// Principal is who it is, as with the ID token as a bearer token, but
	// with what userinfo adds to the claims.
	Principal *Principal
	// Session is the provider's session ("sid"), empty where it has none.
	Session string
	// IDToken is for logging out at the provider, RefreshToken for asking it
	// later whether the user is still there; empty if it gave none. Both are
	// secrets.
	IDToken, RefreshToken string
	// AuthTime is when the provider has asked the person last; zero if it does
	// not say.
	AuthTime time.Time
}

// SignInURL returns where to send the browser: the provider, with PKCE S256.
func (a *OIDC) SignInURL(ctx context.Context, r SignInRequest) (string, error) {
	m, err := a.metadata(ctx)
	if err != nil {
		return "", err
	}
	client, err := a.client(m, r.RedirectURI)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("nonce", r.Nonce), oauth2.S256ChallengeOption(r.Verifier)}
	for _, name := range slices.Sorted(maps.Keys(a.config.ExtraAuthParams)) {
		options = append(options, oauth2.SetAuthURLParam(name, a.config.ExtraAuthParams[name]))
	}
	if r.Again { // after the extra ones: they are not to weaken it
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return client.AuthCodeURL(r.State, options...), nil
}

// CheckAnswerIssuer sees that an answer of the provider is from this one and
// not from another that the browser was sent to (RFC 9207 §2.4). iss are the
// values of the answer's parameter, none if it has none. An empty one is
// another provider's.
func (a *OIDC) CheckAnswerIssuer(ctx context.Context, iss []string) error {
	if len(iss) == 1 && iss[0] == a.issuer {
		return nil
	}
	if len(iss) > 0 {
		return fmt.Errorf("%w: the answer is from another provider (iss)", ErrInvalid)
	}
	m, err := a.metadata(ctx)
	if err != nil {
		return err
	}
	if m.NamesItself {
		return fmt.Errorf("%w: the answer does not say which provider it is from (iss), and this one always does", ErrInvalid)
	}
	return nil
}

// SignIn exchanges the code of the provider's answer and returns who signed
// in. Errors are those of an [Authenticator].
func (a *OIDC) SignIn(ctx context.Context, r SignInRequest, code string) (*SignedIn, error) {
	m, err := a.metadata(ctx)
	if err != nil {
		return nil, err
	}
	client, err := a.client(m, r.RedirectURI)
	if err != nil {
		return nil, err
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, a.source.client)
	token, err := client.Exchange(ctx, code, oauth2.VerifierOption(r.Verifier))
	if err != nil {
		return nil, tokenEndpointError(err)
	}
	idToken, _ := token.Extra("id_token").(string)
	if idToken == "" {
		return nil, fmt.Errorf("%w: the provider gave no ID token", ErrInvalid)
	}
	signed, err := a.signed(ctx, idToken)
	if err != nil {
		return nil, err
	}
	if nonce, _ := signed.claims["nonce"].(string); subtle.ConstantTimeCompare([]byte(nonce), []byte(r.Nonce)) != 1 {
		return nil, fmt.Errorf("%w: the ID token was not issued for this sign-in (nonce)", ErrInvalid)
	}
	if azp, present := signed.claims["azp"]; present && azp != a.config.ClientID || !slices.Contains(ClaimStrings(signed.claims["aud"]), a.config.ClientID) {
		return nil, fmt.Errorf("%w: the ID token was issued to another client", ErrInvalid)
	}
	if err := signed.checkAccessToken(token.AccessToken); err != nil {
		return nil, err
	}
	principal, err := a.describe(ctx, m, signed.claims, token)
	if err != nil {
		return nil, err
	}
	in := &SignedIn{Principal: principal, IDToken: idToken, RefreshToken: token.RefreshToken}
	in.Session, _ = signed.claims["sid"].(string)
	if at, err := numericDate(signed.claims, "auth_time"); err == nil {
		in.AuthTime = at
	}
	return in, nil
}

// describe returns whom the claims of a verified ID token describe, together
// with what the provider says beside it.
func (a *OIDC) describe(ctx context.Context, m *metadata, idToken map[string]any, token *oauth2.Token) (*Principal, error) {
	claims := maps.Clone(idToken)
	if m.UserInfo != "" && a.config.UserInfo != SwitchOff {
		more, err := a.userInfo(ctx, m, token)
		if err != nil {
			return nil, err
		}
		if more["sub"] != idToken["sub"] { // OpenID Connect Core §5.3.2
			return nil, fmt.Errorf("%w: userinfo is about another user (sub)", ErrInvalid)
		}
		for name, v := range more {
			if _, known := claims[name]; !known && !slices.Contains(tokenClaims, name) {
				claims[name] = v
			}
		}
	}
	if err := a.fetchGroups(ctx, claims, token); err != nil {
		return nil, err
	}
	p, err := a.rules.principal(claims, a.now())
	if err != nil {
		return nil, err
	}
	p.Authenticator = a.name
	return p, nil
}

// tokenClaims are about a token and not about a user: userinfo has no say.
var tokenClaims = []string{"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "jti", "sid", "at_hash", "c_hash", "events"}

// signed verifies what of a token is the same for all of the provider's
// tokens: form, issuer and signature. Types are accepted besides JWT.
func (a *OIDC) signed(ctx context.Context, token string, types ...string) (*signedToken, error) {
	t, err := parseToken(token, types...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if iss, _ := t.claims["iss"].(string); iss != a.issuer {
		return nil, fmt.Errorf("%w: the token is of another issuer", ErrInvalid)
	}
	if !slices.Contains(a.algorithms, t.algorithm) {
		return nil, fmt.Errorf("%w: signature algorithm %.20q is not accepted", ErrInvalid, t.algorithm)
	}
	keys, err := a.keys.find(ctx, t, true)
	if err != nil {
		return nil, err
	}
	algorithm := signatureAlgorithms[t.algorithm]
	if !slices.ContainsFunc(keys, func(k verificationKey) bool { return algorithm.verify(k.public, t.signed, t.signature) }) {
		return nil, fmt.Errorf("%w: signature is wrong", ErrInvalid)
	}
	return t, nil
}

// checkAccessToken checks "at_hash", where there is one (OpenID Connect Core
// §3.1.3.8).
func (t *signedToken) checkAccessToken(accessToken string) error {
	want, present := t.claims["at_hash"]
	if !present {
		return nil
	}
	hash := signatureAlgorithms[t.algorithm].hash
	if hash == 0 {
		hash = crypto.SHA512 // of EdDSA with Ed25519
	}
	h := hash.New()
	h.Write([]byte(accessToken))
	sum := h.Sum(nil)
	if want != base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]) {
		return fmt.Errorf("%w: the ID token belongs to another access token (at_hash)", ErrInvalid)
	}
	return nil
}

// tokenEndpointError sorts what goes wrong at a provider's token endpoint: it
// has decided, or it cannot be asked.
func tokenEndpointError(err error) error {
	refused := new(oauth2.RetrieveError)
	if !errors.As(err, &refused) {
		return fmt.Errorf("%w: %w", ErrUnavailable, shortened(err))
	}
	if refused.ErrorCode == "" || refused.Response != nil && refused.Response.StatusCode >= 500 {
		status := http.StatusText(refused.Response.StatusCode)
		return fmt.Errorf("%w: the provider's token endpoint answers %s", ErrUnavailable, status)
	}
	return fmt.Errorf("%w: the provider refuses the code: %.60s: %.200s", ErrInvalid, refused.ErrorCode, refused.ErrorDescription)
}

// SignOutURL returns where to send the browser for signing out at the provider
// too, empty if that has no such place (RP-Initiated Logout 1.0 §2).
func (a *OIDC) SignOutURL(ctx context.Context, idToken, back string) string {
	m, err := a.metadata(ctx)
	if err != nil || a.source.checkEndpoint("end_session_endpoint", m.EndSession) != nil {
		return ""
	}
	u, err := url.Parse(m.EndSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", a.config.ClientID)
	q.Set("post_logout_redirect_uri", back)
	if idToken != "" {
		q.Set("id_token_hint", idToken)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
