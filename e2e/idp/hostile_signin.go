package idp

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
)

// authorization is an authorization code that was handed out.
type authorization struct {
	request url.Values
	claims  jose.Object
}

// Authorize signs somebody in for the request that a gateway sends a browser
// to address with, and returns the code that the browser would bring back.
// Claims are those of the ID token that the code is good for; they get the
// nonce of the request unless they have one.
func (p *Hostile) Authorize(address string, claims jose.Object) (code string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	request := u.Query()
	if request.Get("redirect_uri") == "" || request.Get("code_challenge_method") != "S256" {
		return "", errors.New("not an authorization request with PKCE: " + address)
	}
	if _, ok := claims["nonce"]; !ok {
		claims = claims.With("nonce", request.Get("nonce"))
	}
	code = rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = authorization{request, claims}
	return code, nil
}

// token redeems a code, once, for who shows the verifier.
func (p *Hostile) token(w http.ResponseWriter, r *http.Request) {
	code, verifier := r.PostFormValue("code"), sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	p.mu.Lock()
	found, ok := p.codes[code]
	delete(p.codes, code)
	p.mu.Unlock()
	if !ok || found.request.Get("code_challenge") != jose.Encode(verifier[:]) || found.request.Get("redirect_uri") != r.PostFormValue("redirect_uri") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	token, err := p.Sign(found.claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, jose.Object{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": token})
}
