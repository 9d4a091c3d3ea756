package authn

import (
	"bytes"
	"context"
	"crypto"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
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

// SignInConfig is the part of an [OIDCConfig] that is about signing in with a
// browser.
type SignInConfig struct {
	// The secret of the client. With it people can sign in with the browser.
	// Use a placeholder such as `{env.X}` or `{file./run/secrets/x}`.
	ClientSecret string `json:"client_secret,omitempty"`

	// Whether people can sign in with the browser: `on` or `off`. Default:
	// `on` if there is a client secret. A public client needs `on`.
	SignIn string `json:"sign_in,omitempty"`

	// What the provider is called on the page where people choose one.
	// Default: the host of the issuer.
	DisplayName string `json:"name,omitempty"`

	// The scopes to ask for. Default: openid, profile, email, and groups if
	// the provider says that it has it. `offline_access` makes most providers
	// give a refresh token.
	Scopes []string `json:"scopes,omitempty"`

	// Further parameters of the request to the provider, such as
	// `prompt=select_account`.
	ExtraAuthParams map[string]string `json:"extra_auth_params,omitempty"`

	// `off` leaves the provider's userinfo endpoint alone: the ID token has
	// all that is needed. Default: `on`.
	UserInfo string `json:"userinfo,omitempty"`

	RecheckConfig

	// The issuer that the provider had before it moved. Its users stay who
	// they are, if their subjects (`sub`) are the same there.
	SubjectAlias string `json:"subject_alias,omitempty"`
}

// SwitchOn and SwitchOff are the values of switches such as
// [SignInConfig.SignIn].
const (
	SwitchOn  = "on"
	SwitchOff = "off"
)

// SignsIn reports whether people can sign in with the browser.
func (c SignInConfig) SignsIn() bool {
	return c.SignIn == SwitchOn || c.SignIn == "" && c.ClientSecret != ""
}

// IdentityIssuer is the issuer that the provider's users are known by.
func (c OIDCConfig) IdentityIssuer() string {
	if c.SubjectAlias != "" {
		return c.SubjectAlias
	}
	return c.Issuer
}

// ownParams are the parameters that nobody else may set (RFC 6749 §4.1.1,
// RFC 7636 §4.3, OpenID Connect Core §3.1.2.1).
var ownParams = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "request", "request_uri",
}

func (c SignInConfig) checkSignIn(clientID string) error {
	for name, value := range map[string]string{"sign_in": c.SignIn, "userinfo": c.UserInfo} {
		if value != "" && value != SwitchOn && value != SwitchOff {
			return fmt.Errorf("%s %.20q: want on or off", name, value)
		}
	}
	if err := c.checkRechecks(); err != nil {
		return err
	}
	if c.SignsIn() && clientID == "" {
		return errors.New("sign-in needs a client_id")
	}
	for name := range c.ExtraAuthParams {
		if name == "" || slices.Contains(ownParams, strings.ToLower(name)) {
			return fmt.Errorf("extra_auth_params: %q is set by the gateway", name)
		}
	}
	for _, scope := range c.Scopes {
		// RFC 6749 §3.3
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return fmt.Errorf("scopes: %.60q is not a scope", scope)
		}
	}
	if len(c.Scopes) > 0 && !slices.Contains(c.Scopes, "openid") {
		return errors.New("scopes: openid is missing, without it there is no ID token")
	}
	return nil
}

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

// userInfo asks the provider about the user (OpenID Connect Core §5.3).
func (a *OIDC) userInfo(ctx context.Context, m *metadata, token *oauth2.Token) (map[string]any, error) {
	if err := a.source.checkEndpoint("userinfo_endpoint", m.UserInfo); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var claims map[string]any
	if err := a.ask(ctx, http.MethodGet, m.UserInfo, nil, token, &claims); err != nil {
		return nil, fmt.Errorf("userinfo: %w (with `userinfo off` it is not asked)", err)
	}
	return claims, nil
}

// ask sends a request with the access token and reads the JSON of the answer.
func (a *OIDC) ask(ctx context.Context, method, address string, body any, token *oauth2.Token, answer any) error {
	var send io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, send)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, shortened(err))
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.source.client.Do(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, shortened(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: the provider answers %d", ErrUnavailable, resp.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "application/jwt" {
		return fmt.Errorf("%w: the provider signs this answer, which is not read: switch that off for the client", ErrInvalid)
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("%w: the provider's answer is not JSON", ErrUnavailable)
	}
	return nil
}

// Where Microsoft Entra ID keeps the groups of users who have too many for a
// token, and the old address that it still names.
const (
	entraOldHost   = "graph.windows.net"
	entraGroups    = "https://graph.microsoft.com/v1.0/me/getMemberObjects"
	claimNamesKey  = "_claim_names"
	claimSourceKey = "_claim_sources"
)

// fetchGroups puts the groups in their place if the token only points to them
// (OpenID Connect Core §5.6.2, in Entra's form). They are fetched from the
// provider itself or from Microsoft Graph and from nowhere else that a token
// might name.
func (a *OIDC) fetchGroups(ctx context.Context, claims map[string]any, token *oauth2.Token) error {
	names, _ := claims[claimNamesKey].(map[string]any)
	source, pointed := names[a.rules.groups.path].(string)
	if !pointed {
		return nil
	}
	sources, _ := claims[claimSourceKey].(map[string]any)
	described, _ := sources[source].(map[string]any)
	endpoint, _ := described["endpoint"].(string)
	if strings.HasPrefix(endpoint, "https://"+entraOldHost+"/") {
		endpoint = entraGroups
	} else if err := a.trustsSource(endpoint); err != nil {
		return err
	}
	var found struct {
		Value []string `json:"value"`
	}
	if err := a.ask(ctx, http.MethodPost, endpoint, map[string]bool{"securityEnabledOnly": false}, token, &found); err != nil {
		return fmt.Errorf("the provider leaves %q out of the token because there are too many, and they cannot be fetched: %w: "+
			"give the client the right to read them (Entra: scope https://graph.microsoft.com/GroupMember.Read.All), or have only the needed ones sent", a.rules.groups.path, err)
	}
	kept := maps.Clone(names)
	delete(kept, a.rules.groups.path)
	claims[claimNamesKey] = kept
	list := make([]any, len(found.Value))
	for i, g := range found.Value {
		list[i] = g
	}
	claims[a.rules.groups.path] = list
	return nil
}

func (a *OIDC) trustsSource(endpoint string) error {
	u, err := url.Parse(endpoint)
	issuer, _ := url.Parse(a.issuer)
	if err != nil || u.Scheme != issuer.Scheme || u.User != nil || u.Host != issuer.Host && endpoint != entraGroups {
		return fmt.Errorf("%w: the provider leaves %q out of the token and points to another server, which is not asked: configure it to send only those that the registry needs", ErrInvalid, a.rules.groups.path)
	}
	return nil
}
