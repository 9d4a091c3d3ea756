package demoidp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/caddy-registry-auth/caddy-registry-auth/cmd/caddy/demoidp"
)

// world is a running provider and what talks to it.
type world struct {
	*demoidp.Provider
	discovered *oidc.Provider
	browser    *http.Client // keeps cookies, follows no redirect
	logouts    chan string  // logout tokens that the client "web" received
	app        string       // URL of the client "web"
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{logouts: make(chan string, 1)}
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		w.logouts <- r.FormValue("logout_token")
	}))
	t.Cleanup(app.Close)
	w.app = app.URL

	srv := httptest.NewUnstartedServer(nil)
	var err error
	w.Provider, err = demoidp.New(demoidp.Config{
		Issuer: "http://" + srv.Listener.Addr().String() + "/realms/demo",
		Users: map[string]demoidp.User{
			"alice": {Password: "alice-password", Claims: map[string]any{"groups": []string{"platform", "dev"}}},
		},
		Clients: map[string]demoidp.Client{
			"web": {
				Secret: "web-secret", RedirectURIs: []string{app.URL + "/callback"},
				PostLogoutURIs: []string{app.URL + "/"}, BackchannelURI: app.URL + "/logout",
			},
			"cli": {RedirectURIs: []string{"http://127.0.0.1/callback"}, Alg: "ES256", PasswordGrant: true},
			"job": {Secret: "job-secret"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = w
	srv.Start()
	t.Cleanup(srv.Close)

	if w.discovered, err = oidc.NewProvider(context.Background(), w.Issuer()); err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return w
}

// web is the client "web" as x/oauth2 sees it.
func (w *world) web() *oauth2.Config {
	return &oauth2.Config{
		ClientID: "web", ClientSecret: "web-secret", Endpoint: w.discovered.Endpoint(),
		RedirectURL: w.app + "/callback", Scopes: []string{oidc.ScopeOpenID},
	}
}

// post sends a form and returns the status and the JSON of the answer.
func (w *world) post(t *testing.T, target string, form url.Values) (int, map[string]any) {
	t.Helper()
	resp, err := http.PostForm(target, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	m := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, m
}

func (w *world) token(t *testing.T, form url.Values) (int, map[string]any) {
	t.Helper()
	return w.post(t, w.discovered.Endpoint().TokenURL, form)
}

// submit posts a form in the browser.
func (w *world) submit(t *testing.T, target string, form url.Values) *http.Response {
	t.Helper()
	resp, err := w.browser.PostForm(target, form)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

func (w *world) verify(t *testing.T, audience, alg string, token any) *oidc.IDToken {
	t.Helper()
	raw, _ := token.(string)
	v := w.discovered.Verifier(&oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{alg}})
	id, err := v.Verify(context.Background(), raw)
	if err != nil {
		t.Fatalf("verifying %q: %v", raw, err)
	}
	return id
}

func TestNewRefusesIssuer(t *testing.T) {
	for _, issuer := range []string{"", "127.0.0.1:5001", "http://127.0.0.1:5001/", "http:///x", "%"} {
		if _, err := demoidp.New(demoidp.Config{Issuer: issuer}); err == nil {
			t.Errorf("issuer %q: accepted", issuer)
		}
	}
}

func TestFaultAndHits(t *testing.T) {
	w := start(t)
	w.SetFault(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	if _, err := oidc.NewProvider(context.Background(), w.Issuer()); err == nil {
		t.Error("discovery succeeded during an outage")
	}
	w.SetFault(nil)
	if _, err := oidc.NewProvider(context.Background(), w.Issuer()); err != nil {
		t.Error(err)
	}
	if got := w.Hits("/.well-known/openid-configuration"); got != 3 {
		t.Errorf("discovery was asked %d times, want 3", got)
	}
}
