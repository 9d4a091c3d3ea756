package portal_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func TestSignIn(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	g := p.signIn()
	for _, want := range []string{"alice", "team/**", "you are in the group dev"} {
		if !strings.Contains(g.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if len(p.cookies()) != 1 {
		t.Errorf("cookies are left over: %v", p.cookies())
	}
	if sessionCount(f.state) != 1 {
		t.Error("no session is stored")
	}
	for item := range f.state.Sessions.All() {
		v := item.Value
		if strings.Contains(item.ID, p.sessionCookie()) || v.ProviderSession != "s1" || v.Issuer != f.idp.URL || !v.Plain {
			t.Errorf("session %s %+v", item.ID, v)
		}
		token, err := f.sealer.Open(v.IDToken, "session/"+item.ID+"/id_token")
		if err != nil || strings.Count(string(token), ".") != 2 {
			t.Errorf("the ID token is %q, %v", token, err)
		}
		u, ok := f.state.Users.Get(v.User)
		if !ok || u.Value.Name != "alice" || u.Value.Subject != "a1" || !slices.Equal(u.Value.Groups, []string{"dev"}) || u.Value.Provider == nil {
			t.Fatalf("user %+v", u)
		}
		if refresh, err := f.sealer.Open(u.Value.Provider.Sealed, "user/"+u.ID+"/provider"); err != nil || !strings.HasPrefix(string(refresh), "rt-") {
			t.Errorf("the refresh token is %q, %v", refresh, err)
		}
	}
	if f.idp.forms[0].Get("code_verifier") == "" || f.idp.forms[0].Has("client_secret") {
		t.Error("no PKCE, or the secret in the form")
	}
}

// What the provider says beside the ID token counts as well, if it is about
// the same user and says nothing else than the token.
func TestSignInUserInfo(t *testing.T) {
	for _, test := range []struct {
		name     string
		userinfo object
		status   int
		groups   []string
	}{
		{"adds", object{"sub": "a1", "groups": []string{"ops"}}, 200, []string{"ops"}},
		{"another user", object{"sub": "b2", "groups": []string{"platform"}}, 403, nil},
		{"no sub", object{"groups": []string{"platform"}}, 403, nil},
		{"token claims", object{"sub": "a1", "groups": []string{"ops"}, "exp": 1, "iss": "x"}, 200, []string{"ops"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFront(t)
			f.idp.set(func() {
				f.idp.userinfo = test.userinfo
				delete(f.idp.person, "groups")
			})
			p := f.browser()
			if g := p.get("/auth/"); g.status != test.status {
				t.Fatalf("got %d\n%s", g.status, g.body)
			}
			for item := range f.state.Users.All() {
				if !slices.Equal(item.Value.Groups, test.groups) {
					t.Errorf("groups %v", item.Value.Groups)
				}
			}
		})
	}
	t.Run("the token wins", func(t *testing.T) {
		f := newFront(t)
		f.idp.set(func() {
			f.idp.userinfo = object{"sub": "a1", "groups": []string{"platform"}, "preferred_username": "root"}
		})
		if g := f.browser().signIn(); !strings.Contains(g.body, "alice") || strings.Contains(g.body, "Administrator") {
			t.Error(g.body)
		}
	})
}

// Entra ID points to the groups of those who have many.
// graph is the way to the provider, and Microsoft Graph.
type graph struct {
	idp   *idp
	asked []string
}

// RoundTrip implements [http.RoundTripper].
func (g *graph) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Host, "microsoft") || strings.Contains(r.URL.Host, "windows") {
		g.asked = append(g.asked, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization"))
		to, err := url.Parse(g.idp.URL + "/groups")
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.URL, r.Host = to, to.Host
	}
	return http.DefaultTransport.RoundTrip(r)
}

// Whoever has too many groups for a token has them all the same, from the
// provider or from Microsoft Graph, and from nowhere else that a token names.
func TestSignInGroupsElsewhere(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint func(*front) string
		status   int
	}{
		"at the provider": {func(f *front) string { return f.idp.URL + "/groups" }, 200},
		"at Microsoft, as it says": {func(*front) string {
			return "https://graph.windows.net/tenant/users/a1/getMemberObjects"
		}, 200},
		"at another server":   {func(*front) string { return "http://169.254.169.254/latest" }, 403},
		"cannot be fetched":   {func(f *front) string { return f.idp.URL + "/nothing" }, 503},
		"no address":          {func(*front) string { return "" }, 403},
		"looks like provider": {func(f *front) string { return strings.Replace(f.idp.URL, "http://", "http://x@", 1) + "/groups" }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			f.idp.set(func() {
				delete(f.idp.person, "groups")
				maps.Copy(f.idp.person, object{
					"_claim_names":   object{"groups": "src1"},
					"_claim_sources": object{"src1": object{"endpoint": test.endpoint(f)}},
				})
				f.idp.groups = []string{"dev", "many"}
			})
			g := f.browser().get("/auth/")
			if g.status != test.status {
				t.Fatalf("got %d\n%s", g.status, g.body)
			}
			if test.status == 200 && !strings.Contains(g.body, "dev, many") {
				t.Error("the groups are missing")
			}
			if at := f.graph.asked; strings.Contains(name, "Microsoft") && (len(at) != 1 || at[0] != "POST https://graph.microsoft.com/v1.0/me/getMemberObjects Bearer at") {
				t.Errorf("Microsoft was asked %q", at)
			}
		})
	}
}

func TestSignInRefused(t *testing.T) {
	for name, spoil := range map[string]func(object){
		"nonce of another":  func(c object) { c["nonce"] = "x" },
		"no nonce":          func(c object) { delete(c, "nonce") },
		"audience":          func(c object) { c["aud"] = "other" },
		"two audiences":     func(c object) { c["aud"] = []string{"registry", "other"} },
		"azp":               func(c object) { c["azp"] = "other" },
		"issuer":            func(c object) { c["iss"] = "https://other.example" },
		"expired":           func(c object) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"no sub":            func(c object) { delete(c, "sub") },
		"at_hash":           func(c object) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" },
		"a logout token":    func(c object) { c["events"] = object{} },
		"named like robots": func(c object) { c["preferred_username"] = "robot$ci" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			f.idp.set(func() { f.idp.token = spoil })
			p := f.browser()
			p.refused(p.get("/auth/"), http.StatusForbidden, "Sign in again")
		})
	}
}

func TestRequiredGroup(t *testing.T) {
	f := newFront(t, func(c *authn.OIDCConfig) { c.RequiredGroups = []string{"registry-users"} })
	p := f.browser()
	p.refused(p.get("/auth/"), http.StatusForbidden, "not in a group that may use the registry")
	f.idp.set(func() { f.idp.person["groups"] = "registry-users" })
	p.signIn()
}

// A provider that is away is told as that, and is asked again.
func TestProviderAway(t *testing.T) {
	f := newFront(t)
	f.idp.set(func() { f.idp.away = true })
	p := f.browser()
	p.refused(p.get("/auth/"), http.StatusServiceUnavailable, "does not answer")
	f.idp.set(func() { f.idp.away = false })
	f.advance(3 * time.Second)
	p.signIn()
}

// An account that was disabled here does not come back by signing in.
func TestDisabledUser(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	disable(f, "alice")
	if g := p.get("/auth/"); g.status != http.StatusForbidden || !strings.Contains(g.body, "disabled") {
		t.Errorf("got %d\n%s", g.status, g.body)
	}
	other := f.browser()
	other.refused(other.get("/auth/"), http.StatusForbidden, "account is disabled")
}

// A provider that moved keeps its users.
func TestSubjectAlias(t *testing.T) {
	f := newFront(t, func(c *authn.OIDCConfig) { c.SubjectAlias = "https://old.example" })
	f.browser().signIn()
	id := authn.Identity{Kind: authn.KindUser, Issuer: "https://old.example", Subject: "a1"}.ID()
	if _, ok := f.state.Users.Get(id); !ok {
		t.Error("the user is another one now")
	}
}

// With several providers people choose, and each has its own way back.
func TestSeveralProviders(t *testing.T) {
	f := newFront(t)
	second := newIDP(t)
	second.person = object{"sub": "p1", "preferred_username": "paula"}
	f.open(t,
		f.provider(t, authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2", DisplayName: "Corp"}}),
		f.provider(t, authn.OIDCConfig{Issuer: second.URL, ClientID: "registry", ClaimsConfig: authn.ClaimsConfig{Prefix: "Partner/"}, SignInConfig: authn.SignInConfig{ClientSecret: "hunter2", DisplayName: "Partner"}}))
	p := f.browser()
	g := p.get("/auth/clients")
	if g.path != "/auth/sign-in" || !strings.Contains(g.body, "Sign in with Corp") || !strings.Contains(g.body, `href="/auth/sign-in/at/partner?return_to=%2Fauth%2Fclients"`) {
		t.Fatalf("%s\n%s", g.path, g.body)
	}
	g = p.get("/auth/sign-in/at/partner?return_to=%2fauth%2fclients")
	if g.path != "/auth/clients" || !strings.Contains(g.body, "Partner/paula") {
		t.Errorf("%s\n%s", g.path, g.body)
	}
	if !slices.ContainsFunc(p.hops, func(hop string) bool { return strings.Contains(hop, "/auth/callback/partner?") }) {
		t.Errorf("hops %v", p.hops)
	}
}

// Tabs do not disturb each other.
func TestTabs(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	var answers []string
	stop := p.client.CheckRedirect
	p.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.Contains(r.URL.Path, "/callback") {
			answers = append(answers, r.URL.String())
			return http.ErrUseLastResponse
		}
		return nil
	}
	for range 3 {
		p.get("/auth/sign-in/here?return_to=/auth/clients")
	}
	p.client.CheckRedirect = stop
	for i := range answers {
		at := answers[len(answers)-1-i]
		if g := p.get(at); g.path != "/auth/clients" {
			t.Errorf("answer %d leads to %s, %d", i, g.path, g.status)
		}
	}
	for range 12 {
		p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		p.get("/auth/sign-in/here", "Cookie", "")
	}
	if n := len(p.cookies()); n > 8 {
		t.Errorf("%d cookies pile up", n)
	}
}

func TestSignOut(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	p.signIn()
	before := p.sessionCookie()
	g := p.post("/auth/sign-out", url.Values{})
	if g.status != http.StatusOK || !strings.Contains(g.body, f.idp.URL+"/logout?") || !strings.Contains(g.body, "id_token_hint=") {
		t.Errorf("got %d\n%s", g.status, g.body)
	}
	if sessionCount(f.state) != 0 || p.sessionCookie() != "" {
		t.Error("the session goes on")
	}
	if g := f.browser().get("/auth/csrf", "Cookie", "registry_session="+before, "Sec-Fetch-Mode", "cors"); g.status != http.StatusUnauthorized {
		t.Errorf("the old cookie is answered %d", g.status)
	}
}

func TestPrograms(t *testing.T) {
	f := newFront(t)
	for _, headers := range [][]string{
		{"Sec-Fetch-Mode", "cors", "Accept", "text/html"}, {"Sec-Fetch-Mode", "", "Accept", "application/json"}, {"Sec-Fetch-Mode", "", "Accept", "*/*"},
	} {
		for _, path := range []string{"/auth/", "/auth/sessions", "/auth/nothing", "/auth/sign-in", "/auth/sign-in/here", "/auth/callback?state=x&code=y"} {
			p := f.browser()
			g := p.get(path, headers...)
			if g.status < 400 || len(p.hops) > 0 || !strings.HasPrefix(g.header.Get("Content-Type"), "application/json") {
				t.Errorf("%s %v: %d, %v, %s", path, headers, g.status, p.hops, g.header.Get("Content-Type"))
			}
		}
	}
}
