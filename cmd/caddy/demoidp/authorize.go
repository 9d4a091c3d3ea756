package demoidp

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// authorization is what a user has granted to a client, from the code to the
// last refresh token.
type authorization struct {
	client    string
	session   session // of the password grant: without an id
	nonce     string
	challenge string // of PKCE; "" if there was none
	redirect  string
}

// serveAuthorize is the authorization endpoint (RFC 6749 §4.1.1): it shows the
// login page, unless the browser is signed in, and sends a code back.
func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	client, ok := p.cfg.Clients[q.Get("client_id")]
	// Nothing may be sent to an address that the client did not register.
	if !ok || !slices.Contains(client.RedirectURIs, q.Get("redirect_uri")) {
		page{Title: "Unknown client or redirect_uri"}.write(w, http.StatusBadRequest)
		return
	}
	back := func(v url.Values) { p.redirectBack(w, r, v) }
	switch {
	case q.Get("response_type") != "code":
		back(url.Values{"error": {"unsupported_response_type"}})
		return
	case q.Get("code_challenge_method") != "S256" && (client.Secret == "" || q.Get("code_challenge") != ""):
		back(url.Values{"error": {"invalid_request"}, "error_description": {"PKCE with S256 is required"}})
		return
	}
	s, ok := p.session(r)
	if !ok || q.Get("prompt") == "login" {
		if q.Get("prompt") == "none" {
			back(url.Values{"error": {"login_required"}})
			return
		}
		if s, ok = p.signIn(w, r); !ok {
			p.askToSignIn(w, r, page{Title: "Sign in to " + q.Get("client_id")})
			return
		}
	}
	now, code := p.cfg.Now(), rand.Text()
	p.mu.Lock()
	p.codes.put(code, authorization{
		client: q.Get("client_id"), session: s, nonce: q.Get("nonce"),
		challenge: q.Get("code_challenge"), redirect: q.Get("redirect_uri"),
	}, now, now.Add(time.Minute))
	p.mu.Unlock()
	back(url.Values{"code": {code}})
}

// redirectBack sends the browser to the client, with its state and our issuer
// (RFC 9207 §2).
func (p *Provider) redirectBack(w http.ResponseWriter, r *http.Request, v url.Values) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		page{Title: "Unusable redirect_uri"}.write(w, http.StatusBadRequest)
		return
	}
	if q.Has("state") {
		v.Set("state", q.Get("state"))
	}
	v.Set("iss", p.cfg.Issuer)
	all := to.Query()
	for name := range v {
		all.Set(name, v.Get(name))
	}
	to.RawQuery = all.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// askToSignIn shows the login form: 401 if it has been posted in vain.
func (p *Provider) askToSignIn(w http.ResponseWriter, r *http.Request, form page) {
	form.Form = true
	status := http.StatusOK
	if r.Method == http.MethodPost {
		form.Wrong, status = "Wrong user name or password.", http.StatusUnauthorized
	}
	form.write(w, status)
}
