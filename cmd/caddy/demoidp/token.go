package demoidp

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"time"
)

const refreshLifetime = 24 * time.Hour

// serveToken is the token endpoint (RFC 6749 §3.2).
func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	id, ok := p.client(r)
	if !ok {
		fail(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	var granted authorization
	code := "" // of the error
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		granted, code = p.redeemCode(r, id)
	case "refresh_token":
		granted, code = p.redeemRefresh(id, r.PostFormValue("refresh_token"))
	case deviceGrant:
		granted, code = p.redeemDevice(id, r.PostFormValue("device_code"))
	case "password":
		granted, code = p.redeemPassword(r, id)
	case "client_credentials":
		p.answerClient(w, r, id)
		return
	default:
		code = "unsupported_grant_type"
	}
	if code != "" {
		fail(w, http.StatusBadRequest, code)
		return
	}
	p.answer(w, granted)
}

// client returns the client_id if the client has proved itself, by Basic or in
// the form (RFC 6749 §2.3.1). A public client only names itself.
func (p *Provider) client(r *http.Request) (string, bool) {
	id, secret, basic := r.BasicAuth()
	if basic {
		var err1, err2 error
		id, err1 = url.QueryUnescape(id)
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil {
			return "", false
		}
	} else {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	c, ok := p.cfg.Clients[id]
	return id, equal(c.Secret, secret) && ok && r.Method == http.MethodPost
}

func (p *Provider) redeemCode(r *http.Request, client string) (authorization, string) {
	p.mu.Lock()
	a, ok := p.codes.take(r.PostFormValue("code"), p.cfg.Now())
	p.mu.Unlock()
	verifier := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	proved := a.challenge == "" || equal(a.challenge, base64.RawURLEncoding.EncodeToString(verifier[:]))
	if !ok || a.client != client || a.redirect != r.PostFormValue("redirect_uri") || !proved {
		return authorization{}, "invalid_grant"
	}
	return a, ""
}

// redeemRefresh takes a refresh token out of use: every answer has a new one.
func (p *Provider) redeemRefresh(client, token string) (authorization, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.refresh.take(token, p.cfg.Now())
	if !ok || a.client != client {
		return authorization{}, "invalid_grant"
	}
	a.nonce = "" // belongs to the first ID token only
	return a, ""
}

func (p *Provider) redeemPassword(r *http.Request, client string) (authorization, string) {
	if !p.cfg.Clients[client].PasswordGrant {
		return authorization{}, "unauthorized_client"
	}
	user := r.PostFormValue("username")
	if !p.checkPassword(user, r.PostFormValue("password")) {
		return authorization{}, "invalid_grant"
	}
	return authorization{client: client, session: session{user: user, at: p.cfg.Now()}}, ""
}

// answer sends an ID token, an opaque access token and a new refresh token.
func (p *Provider) answer(w http.ResponseWriter, a authorization) {
	now := p.cfg.Now()
	claims := map[string]any{
		"aud": a.client, "sub": a.session.user, "preferred_username": a.session.user,
		"auth_time": a.session.at.Unix(),
	}
	if a.session.id != "" {
		claims["sid"] = a.session.id
	}
	if a.nonce != "" {
		claims["nonce"] = a.nonce
	}
	maps.Copy(claims, p.cfg.Users[a.session.user].Claims)
	alg := p.cfg.Clients[a.client].Alg
	if alg == "" {
		alg = algRSA
	}
	refresh := rand.Text()
	p.mu.Lock()
	p.refresh.put(refresh, a, now, now.Add(refreshLifetime))
	p.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{
		"id_token": p.Mint(alg, claims), "access_token": rand.Text(), "refresh_token": refresh,
		"token_type": "Bearer", "expires_in": int(p.cfg.Lifetime.Seconds()),
	})
}

// answerClient sends a JWT access token of the client itself, for the audience
// it names as "resource" (RFC 8707 §2) or else for itself.
func (p *Provider) answerClient(w http.ResponseWriter, r *http.Request, client string) {
	if p.cfg.Clients[client].Secret == "" {
		fail(w, http.StatusBadRequest, "unauthorized_client") // RFC 6749 §4.4
		return
	}
	audience := r.PostFormValue("resource")
	if audience == "" {
		audience = client
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": p.Mint(algRSA, map[string]any{
			"aud": audience, "sub": client, "client_id": client,
			"scope": r.PostFormValue("scope"), "jti": rand.Text(),
		}),
		"token_type": "Bearer", "expires_in": int(p.cfg.Lifetime.Seconds()),
	})
}

func fail(w http.ResponseWriter, status int, code string) {
	writeJSON(w, status, map[string]string{"error": code})
}
