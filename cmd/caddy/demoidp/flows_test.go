package demoidp_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/caddy-registry-auth/caddy-registry-auth/cmd/caddy/demoidp"
)

var goodLogin = url.Values{"username": {"alice"}, "password": {"alice-password"}}

// signIn runs the code flow of the client "web" in the browser.
func signIn(t *testing.T, w *world) *oauth2.Token {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	page := w.web().AuthCodeURL("the-state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("the-nonce"))
	loc, err := w.submit(t, page, goodLogin).Location()
	if err != nil {
		t.Fatal(err)
	}
	q := loc.Query()
	if q.Get("state") != "the-state" || q.Get("iss") != w.Issuer() {
		t.Errorf("redirected to %s", loc)
	}
	tok, err := w.web().Exchange(context.Background(), q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.web().Exchange(context.Background(), q.Get("code"), oauth2.VerifierOption(verifier)); err == nil {
		t.Error("the code was good twice")
	}
	return tok
}

func TestCodeFlow(t *testing.T) {
	w := start(t)
	page := w.web().AuthCodeURL("x", oauth2.S256ChallengeOption("v"))
	wrong := url.Values{"username": {"alice"}, "password": {"wrong"}}
	if got := w.submit(t, page, wrong).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("wrong password: status %d", got)
	}
	id := w.verify(t, "web", "RS256", signIn(t, w).Extra("id_token"))
	var claims struct {
		Username string   `json:"preferred_username"`
		Groups   []string `json:"groups"`
		Session  string   `json:"sid"`
	}
	if err := id.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if id.Subject != "alice" || id.Nonce != "the-nonce" || claims.Username != "alice" ||
		claims.Session == "" || !slices.Equal(claims.Groups, []string{"platform", "dev"}) {
		t.Errorf("got %+v of %+v", claims, id)
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	w := start(t)
	public := "client_id=cli&redirect_uri=http://127.0.0.1/callback"
	for query, want := range map[string]string{
		"response_type=code&client_id=nobody&redirect_uri=" + w.app + "/callback":     "400",
		"response_type=code&client_id=web&redirect_uri=" + w.app + "/elsewhere":       "400",
		"response_type=token&" + public:                                               "unsupported_response_type",
		"response_type=code&" + public:                                                "invalid_request",
		"response_type=code&code_challenge=x&code_challenge_method=plain&" + public:   "invalid_request",
		"response_type=code&code_challenge_method=S256&prompt=none&x=1&" + public:     "login_required",
		"response_type=code&code_challenge_method=S256&code_challenge=x&x=&" + public: "200",
	} {
		resp, err := w.browser.Get(w.Issuer() + "/auth?" + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		got := resp.Status[:3]
		if loc, err := resp.Location(); err == nil {
			got = loc.Query().Get("error")
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}

func TestPasswordGrant(t *testing.T) {
	w := start(t)
	form := func(client, password string) url.Values {
		return url.Values{
			"grant_type": {"password"}, "client_id": {client}, "client_secret": {map[string]string{"web": "web-secret"}[client]},
			"username": {"alice"}, "password": {password},
		}
	}
	_, m := w.token(t, form("cli", "alice-password"))
	w.verify(t, "cli", "ES256", m["id_token"])
	for name, c := range map[string]struct {
		form url.Values
		want string
	}{
		"wrong password":      {form("cli", "wrong"), "invalid_grant"},
		"no password":         {form("cli", ""), "invalid_grant"},
		"grant not turned on": {form("web", "alice-password"), "unauthorized_client"},
		"unknown client":      {form("nobody", "alice-password"), "invalid_client"},
	} {
		if _, m := w.token(t, c.form); m["error"] != c.want {
			t.Errorf("%s: got %v, want %s", name, m["error"], c.want)
		}
	}
}

func TestRefreshRotates(t *testing.T) {
	w := start(t)
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {signIn(t, w).RefreshToken},
		"client_id": {"web"}, "client_secret": {"web-secret"},
	}
	_, m := w.token(t, form)
	w.verify(t, "web", "RS256", m["id_token"])
	if _, m := w.token(t, form); m["error"] != "invalid_grant" {
		t.Errorf("the refresh token was good twice: %v", m)
	}
	next, _ := m["refresh_token"].(string)
	form.Set("refresh_token", next)
	if status, m := w.token(t, form); status != http.StatusOK {
		t.Errorf("the new refresh token: %d %v", status, m)
	}
}

func TestClientCredentials(t *testing.T) {
	w := start(t)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"job"}, "client_secret": {"job-secret"}, "resource": {"registry"}}
	_, m := w.token(t, form)
	if id := w.verify(t, "registry", "RS256", m["access_token"]); id.Subject != "job" {
		t.Errorf("subject %q", id.Subject)
	}
	form = url.Values{"grant_type": {"client_credentials"}, "client_id": {"cli"}}
	if _, m := w.token(t, form); m["error"] != "unauthorized_client" {
		t.Errorf("public client: %v", m)
	}
}

func TestDeviceFlow(t *testing.T) {
	w := start(t)
	_, d := w.post(t, w.discovered.Endpoint().DeviceAuthURL, url.Values{"client_id": {"cli"}})
	device, _ := d["device_code"].(string)
	user, _ := d["user_code"].(string)
	poll := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device}, "client_id": {"cli"},
	}
	if _, m := w.token(t, poll); m["error"] != "authorization_pending" {
		t.Errorf("before the sign-in: %v", m)
	}
	page, _ := d["verification_uri_complete"].(string)
	form := url.Values{"username": {"alice"}, "password": {"alice-password"}, "user_code": {strings.ToLower(user)}}
	if got := w.submit(t, page, form).StatusCode; got != http.StatusOK {
		t.Errorf("sign-in: status %d", got)
	}
	if got := w.submit(t, page, url.Values{"user_code": {user}}).StatusCode; got != http.StatusBadRequest {
		t.Errorf("the user code again: status %d", got)
	}
	_, m := w.token(t, poll)
	w.verify(t, "cli", "ES256", m["id_token"])
	if _, m := w.token(t, poll); m["error"] != "expired_token" {
		t.Errorf("the device code again: %v", m)
	}
}

func TestRotate(t *testing.T) {
	w := start(t)
	claims := map[string]any{"aud": "web", "sub": "x"}
	before := w.Mint("ES256", claims)
	for _, withdraw := range []bool{false, true} {
		if err := w.Rotate(withdraw); err != nil {
			t.Fatal(err)
		}
		fresh, err := oidc.NewProvider(context.Background(), w.Issuer())
		if err != nil {
			t.Fatal(err)
		}
		v := fresh.Verifier(&oidc.Config{ClientID: "web", SupportedSigningAlgs: []string{"ES256"}})
		if _, err := v.Verify(context.Background(), w.Mint("ES256", claims)); err != nil {
			t.Error(err)
		}
		if _, err := v.Verify(context.Background(), before); (err != nil) != withdraw {
			t.Errorf("withdraw %v, old token: %v", withdraw, err)
		}
	}
}

func TestLogout(t *testing.T) {
	w := start(t)
	tok := signIn(t, w)
	resp := w.submit(t, w.Issuer()+"/logout", url.Values{"post_logout_redirect_uri": {w.app + "/"}})
	if got := resp.Header.Get("Location"); got != w.app+"/" {
		t.Errorf("sent to %q", got)
	}
	var claims map[string]any
	if err := w.verify(t, "web", "RS256", <-w.logouts).Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if claims["sub"] != "alice" || claims["sid"] == nil || claims["events"] == nil || claims["jti"] == nil {
		t.Errorf("logout token %v", claims)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tok.RefreshToken}, "client_id": {"web"}, "client_secret": {"web-secret"}}
	if _, m := w.token(t, form); m["error"] != "invalid_grant" {
		t.Errorf("refresh after logout: %v", m)
	}
	resp = w.submit(t, w.Issuer()+"/logout", url.Values{"post_logout_redirect_uri": {"http://evil.example/"}})
	if resp.StatusCode != http.StatusOK {
		t.Errorf("unknown address after logout: %s to %s", resp.Status, resp.Header.Get("Location"))
	}
	signIn(t, w)
	w.Logout(context.Background(), "alice")
	w.verify(t, "web", "RS256", <-w.logouts)
}

var _ http.Handler = (*demoidp.Provider)(nil)
