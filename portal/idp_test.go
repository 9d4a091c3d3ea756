package portal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

type object = map[string]any

// idp is an OpenID provider that lets in whoever comes, as the person it is
// told, and can be told to misbehave.
type idp struct {
	*httptest.Server
	key *ecdsa.PrivateKey
	now func() time.Time

	mu       sync.Mutex
	person   object // claims of the ID token
	userinfo object // nil: there is no such endpoint
	token    func(claims object)
	discover func(object)
	codes    map[string]url.Values // the request by its code
	away     bool
	forms    []url.Values // what the token endpoint got
	groups   []string     // of the overage endpoint
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{key: key, now: time.Now, codes: map[string]url.Values{}, person: object{"sub": "a1", "preferred_username": "alice", "groups": []string{"dev"}}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("/jwks", p.jwks)
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("/token", p.exchange)
	mux.HandleFunc("/userinfo", func(w http.ResponseWriter, _ *http.Request) { answer(w, p.userinfo) })
	mux.HandleFunc("POST /groups", func(w http.ResponseWriter, _ *http.Request) { answer(w, object{"value": p.groups}) })
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

// set changes how the provider behaves.
func (p *idp) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (p *idp) discovery(w http.ResponseWriter, _ *http.Request) {
	d := object{
		"issuer": p.URL, "jwks_uri": p.URL + "/jwks", "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"end_session_endpoint": p.URL + "/logout", "scopes_supported": []string{"openid", "groups"},
		"authorization_response_iss_parameter_supported": true,
	}
	if p.userinfo != nil {
		d["userinfo_endpoint"] = p.URL + "/userinfo"
	}
	if p.discover != nil {
		p.discover(d)
	}
	answer(w, d)
}

func (p *idp) jwks(w http.ResponseWriter, _ *http.Request) {
	raw, _ := p.key.PublicKey.Bytes()
	encode := base64.RawURLEncoding.EncodeToString
	answer(w, object{"keys": []object{{"kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "x": encode(raw[1:33]), "y": encode(raw[33:])}}})
}

// authorize signs in whoever comes.
func (p *idp) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	p.codes[code] = q
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}.Encode(), http.StatusFound)
}

func (p *idp) exchange(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	p.forms = append(p.forms, r.PostForm)
	asked, ok := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	user, secret, _ := r.BasicAuth()
	if !ok || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || asked.Get("code_challenge_method") != "S256" ||
		r.PostForm.Get("redirect_uri") != asked.Get("redirect_uri") || user != "registry" || secret != "hunter2" {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, object{"error": "invalid_grant"})
		return
	}
	claims := p.claims()
	claims["nonce"] = asked.Get("nonce")
	if asked.Get("max_age") == "0" && asked.Get("prompt") == "login" {
		claims["auth_time"] = p.now().Unix()
	}
	if p.token != nil {
		p.token(claims)
	}
	answer(w, object{"access_token": "at", "token_type": "Bearer", "expires_in": 60, "refresh_token": "rt-" + rand.Text(), "id_token": p.sign("JWT", claims)})
}

func (p *idp) claims() object {
	now := p.now().Unix()
	claims := object{"iss": p.URL, "aud": "registry", "iat": now, "exp": now + 300, "sid": "s1"}
	maps.Copy(claims, p.person)
	return claims
}

// sign makes a token of the provider.
func (p *idp) sign(typ string, claims object) string {
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	t.Header["kid"], t.Header["typ"] = "k", typ
	text, err := t.SignedString(p.key)
	if err != nil {
		panic(err)
	}
	return text
}
