package idp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// redirectURI is never fetched: the flow ends when the provider redirects to it.
const redirectURI = "http://127.0.0.1/callback"

// Login goes through the whole authorization code flow with PKCE, as a person
// with a browser does, and returns the ID token for the client.
func (c *Certified) Login(ctx context.Context, client, user string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), redirectURI) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {client}, "response_type": {"code"}, "redirect_uri": {redirectURI},
		"scope": {"openid profile groups"}, "state": {rand.Text()}, "nonce": {rand.Text()},
		"code_challenge": {jose.Encode(challenge[:])}, "code_challenge_method": {"S256"},
	}
	page, err := send(ctx, browser, http.MethodGet, c.Issuer+"/auth?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	page.Body.Close()
	form := url.Values{"username": {user}, "password": {user + "-pw"}}
	back, err := send(ctx, browser, http.MethodPost, page.Request.URL.String(), form)
	if err != nil {
		return "", err
	}
	back.Body.Close()
	location, err := back.Location()
	if err != nil {
		return "", fmt.Errorf("log %s in: %s, no redirect: %w", user, back.Status, err)
	}
	res, err := send(ctx, browser, http.MethodPost, c.Issuer+"/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {location.Query().Get("code")},
		"redirect_uri": {redirectURI}, "client_id": {client}, "code_verifier": {verifier},
	})
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var tokens struct {
		IDToken string `json:"id_token"`
		Error   string `json:"error_description"`
	}
	if err := json.NewDecoder(res.Body).Decode(&tokens); err != nil {
		return "", fmt.Errorf("log %s in: %w", user, err)
	}
	if tokens.IDToken == "" {
		return "", errors.New("log " + user + " in: " + tokens.Error)
	}
	return tokens.IDToken, nil
}

func send(ctx context.Context, c *http.Client, method, target string, form url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return c.Do(req)
}
