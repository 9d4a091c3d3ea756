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
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
)

// Whatever somebody puts into return_to, people stay on this host.
func TestOpenRedirect(t *testing.T) {
	targets := []string{
		"//evil.example", "///evil.example", "////evil.example/x", `/\evil.example`, `\\evil.example`, `\/evil.example`,
		"/\tevil.example", "\t//evil.example", "/\t/evil.example", "/\n/evil.example", "/\r\nLocation: https://evil.example", " //evil.example",
		"https://evil.example", "HTTPS:evil.example", "https:/evil.example", "http:evil.example", "javascript:alert(1)", "data:text/html,x",
		"/%2fevil.example", "/%2Fevil.example", "/%5cevil.example", "%2f%2fevil.example", "/%09/evil.example", "/%00/evil.example", "/..%2f/evil.example",
		"/.//evil.example", "/..//evil.example", "/auth/..//evil.example", "/auth//evil.example", "/auth/../..", "evil.example", "@evil.example", "/@evil.example", "/user:pw@evil.example/x", "/auth/#//evil.example",
		"//user@evil.example", "/\u2028/evil.example", "/／evil.example", "/\u0000", "?//evil.example", "", "/<script>", "/" + strings.Repeat("a", 2000),
	}
	for _, target := range targets {
		f := newFront(t)
		p := f.browser()
		g := p.get("/auth/sign-in?return_to=" + url.QueryEscape(target))
		if g.status != http.StatusOK || g.path != "/auth/" {
			t.Errorf("%q leads to %s, %d", target, g.path, g.status)
		}
		for _, hop := range p.hops {
			if u, err := url.Parse(hop); err != nil || u.Host != strings.TrimPrefix(f.URL, "http://") && u.Host != strings.TrimPrefix(f.idp.URL, "http://") {
				t.Errorf("%q goes by %s", target, hop)
			}
		}
		g = p.get("/auth/sign-in?return_to=" + url.QueryEscape(target)) // signed in already
		if g.path != "/auth/" {
			t.Errorf("%q leads to %s when signed in", target, g.path)
		}
	}
	for _, target := range []string{"/auth/clients", "/auth/sessions?page=0", "/", "/ui/repo?q=a%20b"} {
		f := newFront(t)
		p := f.browser()
		p.client.CheckRedirect = stopAt(p, target)
		p.get("/auth/sign-in?return_to=" + url.QueryEscape(target))
		if last := p.hops[len(p.hops)-1]; last != f.URL+target {
			t.Errorf("%q leads to %s", target, last)
		}
	}
}

// stopAt follows redirects up to a path.
func stopAt(p *person, target string) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, _ []*http.Request) error {
		p.hops = append(p.hops, r.URL.String())
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		if r.URL.String() == p.URL+target {
			return http.ErrUseLastResponse
		}
		return nil
	}
}

// answer begins a sign-in and returns the provider's answer to it, not
// delivered.
func (p *person) answer(start string) string {
	p.Helper()
	follow := p.client.CheckRedirect
	defer func() { p.client.CheckRedirect = follow }()
	caught := ""
	p.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.Contains(r.URL.Path, "/callback") {
			caught = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	p.get(start)
	if caught == "" {
		p.Fatal("the provider did not answer")
	}
	return caught
}

func change(t *testing.T, address string, with func(url.Values)) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	with(q)
	u.RawQuery = q.Encode()
	return u.String()
}

const start = "/auth/sign-in/here"

// Login CSRF: an answer for the attacker's browser is nothing in another.
func TestLoginCSRF(t *testing.T) {
	f := newFront(t)
	attacker, victim := f.browser(), f.browser()
	answer := attacker.answer(start)
	victim.refused(victim.get(answer), http.StatusBadRequest, "Sign in again")
	victim.answer(start) // also not while the victim has a sign-in of its own
	victim.refused(victim.get(answer), http.StatusBadRequest, "Sign in again")
}

func TestAnswerIsGoodOnce(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	answer := p.answer(start)
	cookies := p.cookies()
	if g := p.get(answer); g.path != "/auth/" {
		t.Fatalf("got %d at %s", g.status, g.path)
	}
	if g := p.get(answer); g.status != http.StatusBadRequest || sessionCount(f.state) != 1 {
		t.Errorf("shown again: %d", g.status)
	}
	// With the cookies that somebody copied before, too.
	thief := f.browser()
	u, _ := url.Parse(f.URL)
	thief.client.Jar.SetCookies(u, cookies)
	thief.refused(thief.get(answer), http.StatusBadRequest, "Sign in again")
}

// TestFailedAnswersAreForgotten: an attempt is made by who has its cookie, so
// that anybody can have as many as a list of them has places. Only a sign-in
// that succeeds, for which the provider gives one code, takes one.
func TestFailedAnswersAreForgotten(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	for _, with := range []func(url.Values){
		func(q url.Values) { q.Set("code", "x") },
		func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") },
		func(q url.Values) { q.Set("iss", "https://evil.example") },
	} {
		p.get(change(t, p.answer(start), with))
	}
	if n := f.portal.Remembered(); n != 0 {
		t.Errorf("%d attempts that failed are remembered", n)
	}
	p.get(p.answer(start))
	if n := f.portal.Remembered(); n != 1 || sessionCount(f.state) != 1 {
		t.Errorf("%d attempts that succeeded are remembered", n)
	}
}

func TestAnswerSpoiled(t *testing.T) {
	for name, with := range map[string]func(url.Values){
		"no state":        func(q url.Values) { q.Del("state") },
		"wrong state":     func(q url.Values) { q.Set("state", q.Get("state")[:20]+strings.Repeat("A", 40)) },
		"short state":     func(q url.Values) { q.Set("state", q.Get("state")[:16]) },
		"two states":      func(q url.Values) { q.Add("state", "x") },
		"two codes":       func(q url.Values) { q.Add("code", "x") },
		"state is a path": func(q url.Values) { q.Set("state", "../../../../x.y") },
		"no code":         func(q url.Values) { q.Del("code") },
		"foreign code":    func(q url.Values) { q.Set("code", "x") },
		"iss of another":  func(q url.Values) { q.Set("iss", "https://evil.example") },
		"no iss":          func(q url.Values) { q.Del("iss") },
		"iss with slash":  func(q url.Values) { q.Set("iss", q.Get("iss")+"/") },
		"two iss":         func(q url.Values) { q.Add("iss", q.Get("iss")) },
		"refused":         func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") },
		"markup": func(q url.Values) {
			q.Del("code")
			q.Set("error", "<script>alert(1)</script>")
			q.Set("error_description", "<img src=x onerror=alert(1)>")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			p := f.browser()
			g := p.get(change(t, p.answer(start), with))
			if g.status < 400 {
				t.Errorf("got %d", g.status)
			}
			p.refused(g, g.status, "Sign in again")
			if strings.Contains(g.body, "<script") || strings.Contains(g.body, "onerror") {
				t.Error("the answer is repeated")
			}
		})
	}
}

// A callback that comes too late starts again, with an explanation.
func TestStaleAnswer(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	answer := p.answer(start)
	f.advance(16 * time.Minute)
	p.refused(p.get(answer), http.StatusBadRequest, "It took too long")
	f.advance(-16 * time.Minute)
	p.signIn()
}

// Mix-up: what one provider answers is not taken for another's answer.
func TestMixUp(t *testing.T) {
	f := newFront(t)
	evil := newIDP(t)
	evil.discover = func(d object) { delete(d, "authorization_response_iss_parameter_supported") }
	f.open(t,
		f.provider(t, authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}}),
		f.provider(t, authn.OIDCConfig{Issuer: evil.URL, ClientID: "registry", ClaimsConfig: authn.ClaimsConfig{Prefix: "evil/"}, SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}}))
	for name, test := range map[string]struct {
		start string
		with  func(string) string
	}{
		"honest answer at the evil callback": {start, func(a string) string { return strings.Replace(a, "/callback?", "/callback/evil?", 1) }},
		"evil answer at the honest callback": {"/auth/sign-in/at/evil", func(a string) string { return strings.Replace(a, "/callback/evil?", "/callback?", 1) }},
		"evil answer in the honest name": {"/auth/sign-in/at/evil", func(a string) string {
			return change(t, a, func(q url.Values) { q.Set("iss", f.idp.URL) })
		}},
		"unknown callback": {start, func(a string) string { return strings.Replace(a, "/callback?", "/callback/other?", 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := f.browser()
			g := p.get(test.with(p.answer(test.start)))
			p.refused(g, g.status, "Sign in again")
		})
	}
	if len(f.idp.forms)+len(evil.forms) != 0 {
		t.Error("a code was sent somewhere")
	}
}

// Session fixation: signing in gives another cookie, and ends what was there.
func TestFixation(t *testing.T) {
	f := newFront(t)
	attacker := f.browser()
	attacker.signIn()
	planted := attacker.sessionCookie()
	f.idp.set(func() { f.idp.person = object{"sub": "v1", "preferred_username": "victim"} })
	victim := f.browser()
	u, _ := url.Parse(f.URL)
	victim.client.Jar.SetCookies(u, []*http.Cookie{{Name: "registry_session", Value: planted, Path: "/"}})
	victim.get(victim.answer(start))
	if victim.sessionCookie() == planted || victim.sessionCookie() == "" {
		t.Error("the cookie is the planted one")
	}
	for item := range f.state.Sessions.All() {
		if owner, _ := f.state.Users.Get(item.Value.User); owner.Value.Name != "victim" {
			t.Error("the planted session goes on")
		}
	}
	if g := attacker.get("/auth/csrf", "Sec-Fetch-Mode", "cors"); g.status != http.StatusUnauthorized {
		t.Errorf("the attacker is answered %d", g.status)
	}
	// A value that we never made is never taken over.
	stranger := f.browser()
	stranger.client.Jar.SetCookies(u, []*http.Cookie{{Name: "registry_session", Value: strings.Repeat("B", 43), Path: "/"}})
	stranger.signIn()
	if stranger.sessionCookie() == strings.Repeat("B", 43) {
		t.Error("a made-up cookie is a session")
	}
}

// Cookie tossing: a neighbour's cookies of our names decide nothing.
func TestCookieTossing(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	answer := p.answer(start)
	var mine string
	for _, c := range p.cookies() {
		mine = c.Name + "=" + c.Value
	}
	name, _, _ := strings.Cut(mine, "=")
	raw := &person{front: f, client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	for _, cookies := range []string{name + "=x; " + mine, mine + "; " + name + "=x", "__Host-" + mine, " \u2000" + mine} {
		if g := raw.get(answer, "Cookie", cookies); g.status != http.StatusBadRequest || strings.Contains(strings.Join(g.header["Set-Cookie"], ";"), "registry_session=") {
			t.Errorf("%.60q: %d", cookies, g.status)
		}
	}
	other := f.browser()
	other.signIn()
	if g := raw.get("/auth/csrf", "Cookie", "registry_session=x; registry_session="+other.sessionCookie(), "Sec-Fetch-Mode", "cors"); g.status != http.StatusUnauthorized {
		t.Errorf("two sessions: %d", g.status)
	}
}

// Over https the cookies have the prefix that keeps neighbours from setting
// them, and all flags.
func TestCookieFlags(t *testing.T) {
	f := newFront(t)
	secure, err := portal.New(portal.Options{
		Sessions: f.sessions, State: f.state, Policy: nil, PublicURL: "https://registry.example.com", Base: func(*http.Request) string { return "https://registry.example.com" },
		Providers: []*authn.OIDC{f.provider(t, authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}})},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := record(secure, "https://registry.example.com/auth/sign-in/here", "Sec-Fetch-Mode", "navigate")
	cookie := w.Header().Get("Set-Cookie")
	if w.Code != http.StatusSeeOther || !strings.HasPrefix(cookie, "__Host-registry_signin_") {
		t.Fatalf("%d %s", w.Code, cookie)
	}
	for _, want := range []string{"; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("%s lacks %q", cookie, want)
		}
	}
	if strings.Contains(cookie, "Domain") {
		t.Error(cookie)
	}
	if to := w.Header().Get("Location"); !strings.Contains(to, "redirect_uri=https%3A%2F%2Fregistry.example.com%2Fauth%2Fcallback&") || !strings.Contains(to, "code_challenge_method=S256") {
		t.Error(to)
	}
}

// Without a public URL only hosts that are named, and https, are signed in at.
func TestUnknownHost(t *testing.T) {
	f := newFront(t)
	open, err := portal.New(portal.Options{
		Config: portal.Config{TrustedHosts: []string{"registry.example.com"}}, Sessions: f.sessions, State: f.state,
		Base:      func(r *http.Request) string { return "http://" + r.Host },
		Providers: []*authn.OIDC{f.provider(t, authn.OIDCConfig{Issuer: f.idp.URL, ClientID: "registry", SignInConfig: authn.SignInConfig{ClientSecret: "hunter2"}})},
	})
	if err != nil {
		t.Fatal(err)
	}
	for host, says := range map[string]string{"evil.example": "does not know this host name", "registry.example.com": "Sign-in needs https", "registry.example.com.evil.example": "does not know this host name"} {
		w := record(open, "http://"+host+"/auth/sign-in/here", "Sec-Fetch-Mode", "navigate")
		if w.Code != http.StatusMisdirectedRequest || !strings.Contains(w.Body.String(), says) || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s", host, w.Code, w.Body)
		}
	}
}

// Clickjacking, sniffing, injected scripts: every answer has the headers.
func TestHeaders(t *testing.T) {
	f := newFront(t)
	p := f.browser()
	pages := map[string]*page{"sign-in": p.get("/auth/sign-in"), "nothing": p.get("/auth/nothing"), "stale": p.get("/auth/callback?state=a&code=b"), "css": p.get("/auth/portal.css")}
	f.idp.set(func() { f.idp.person["groups"] = []string{"platform"} })
	p.signIn()
	for _, route := range f.portal.Routes() {
		if route.Method == http.MethodGet && !strings.Contains(route.Path, "{") {
			pages[route.Path] = p.get("/auth/" + route.Path)
		}
	}
	for name, g := range pages {
		for header, want := range map[string]string{
			"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if !strings.Contains(g.header.Get(header), want) {
				t.Errorf("%s: %s is %q", name, header, g.header.Get(header))
			}
		}
		csp := g.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: %s", name, csp)
		}
		for _, inline := range []string{"<script", " style=", "<style", " onclick=", "javascript:"} {
			if strings.Contains(g.body, inline) {
				t.Errorf("%s has %s", name, inline)
			}
		}
	}
}

// CSRF: no form does anything unless a page of ours sent it, in this session.
func TestCSRF(t *testing.T) {
	f := newFront(t)
	f.idp.set(func() { f.idp.person["groups"] = []string{"platform"} })
	p, other := f.browser(), f.browser()
	p.signIn()
	other.signIn()
	good, foreign := p.get("/auth/").csrf(), other.get("/auth/").csrf()
	if good == "" || good == foreign {
		t.Fatal("no token of its own")
	}
	before := sessionCount(f.state)
	forms := 0
	for _, route := range f.portal.Routes() {
		if route.Method != http.MethodPost || route.Machine {
			continue
		}
		forms++
		path := "/auth/" + strings.NewReplacer("{", "", "}", "").Replace(route.Path)
		for name, attempt := range map[string]struct {
			form    url.Values
			headers []string
		}{
			"no token":           {url.Values{"confirmed": {"yes"}}, nil},
			"another's token":    {url.Values{"csrf": {foreign}, "confirmed": {"yes"}}, nil},
			"token in the query": {url.Values{"confirmed": {"yes"}}, []string{"query", good}},
			"from another site":  {url.Values{"csrf": {good}, "confirmed": {"yes"}}, []string{"Sec-Fetch-Site", "cross-site"}},
			"from a neighbour":   {url.Values{"csrf": {good}, "confirmed": {"yes"}}, []string{"Sec-Fetch-Site", "same-site"}},
			"another origin":     {url.Values{"csrf": {good}, "confirmed": {"yes"}}, []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}},
			"as text":            {url.Values{"csrf": {good}, "confirmed": {"yes"}}, []string{"Content-Type", "text/plain"}},
			"as multipart":       {url.Values{"csrf": {good}, "confirmed": {"yes"}}, []string{"Content-Type", "multipart/form-data; boundary=x"}},
		} {
			target, headers := path, attempt.headers
			if len(headers) == 2 && headers[0] == "query" {
				target, headers = path+"?csrf="+good, nil
			}
			g := p.do(http.MethodPost, target, attempt.form, headers...)
			if g.status != http.StatusForbidden && g.status != http.StatusBadRequest || !strings.Contains(g.body, "Nothing was changed") {
				t.Errorf("%s, %s: %d", path, name, g.status)
			}
		}
		if g := p.get(path); g.status != http.StatusMethodNotAllowed && g.status != http.StatusNotFound && g.status != http.StatusOK && g.status != http.StatusBadRequest {
			t.Errorf("GET %s: %d", path, g.status)
		}
	}
	if forms < 2 || sessionCount(f.state) != before {
		t.Errorf("%d forms, %d sessions of %d", forms, sessionCount(f.state), before)
	}
}

// XSS: names that other people choose are text and nothing else.
func TestXSS(t *testing.T) {
	const evil = `"><img/src=x/onerror=alert(1)>'{{.}}`
	f := newFront(t)
	f.idp.set(func() {
		maps.Copy(f.idp.person, object{"preferred_username": "al<b>ice", "email": evil, "groups": []string{"platform", evil}, "email_verified": true})
	})
	p := f.browser()
	p.get("/auth/", "User-Agent", evil)
	user := ""
	for item := range f.state.Users.All() {
		user = item.ID
	}
	// What administrators of projects, and people, call things.
	p.post("/auth/tokens", url.Values{"name": {evil}, "days": {"30"}})
	p.post("/auth/robots/new", url.Values{"name": {"ci"}, "description": {evil}, "permissions": {"team/** pull"}})
	p.post("/auth/projects", url.Values{"name": {"web"}, "patterns": {"web/**"}, "description": {evil}})
	p.post("/auth/projects/members", url.Values{"name": {"web"}, "subject": {"group:" + evil}, "role": {"guest"}})
	p.post("/auth/projects/read-only", url.Values{"name": {"web"}, "on": {"yes"}, "reason": {evil}, "confirmed": {"yes"}})
	_, _, code := f.begin(url.Values{"client_id": {evil}, "client_name": {evil}})
	d, deviceCode, approved := f.begin(url.Values{"client_id": {"helper"}, "client_name": {evil}})
	p.post("/auth/device/approve", url.Values{"user_code": {approved}})
	if e := d.poll(deviceCode); e != "" {
		t.Fatal(e)
	}
	p.post("/auth/role-mappings", url.Values{"principal": {"user:" + evil}, "role": {"developer"}})
	seen := 0
	more := map[string]string{"projects/one": "name=web", "robots/one": "name=ci", "users/one": "id=" + user, "device": "user_code=" + code}
	for _, route := range f.portal.Routes() {
		if route.Method != http.MethodGet {
			continue
		}
		done := url.QueryEscape(evil)
		if route.Path == "device" {
			done = "" // else it says how it went
		}
		g := p.get("/auth/"+strings.NewReplacer("{", "", "}", "", "$", "").Replace(route.Path)+"?"+more[route.Path]+"&actor="+url.QueryEscape(evil)+"&q="+url.QueryEscape(evil)+"&done="+done, "User-Agent", evil)
		if strings.Contains(g.body, "<img") || strings.Contains(g.body, "<b>") {
			t.Errorf("%s: a name is markup\n%s", route.Path, g.body)
		}
		if strings.Contains(g.body, "&lt;img") {
			seen++
		} else if route.Path == "device" || route.Path == "sessions" {
			t.Errorf("%s does not show the name of the device", route.Path)
		}
	}
	if seen < 10 {
		t.Errorf("the name is on %d pages only: the test shows little", seen)
	}
}

// Every page but a few is for who is signed in.
func TestPagesNeedSession(t *testing.T) {
	f := newFront(t)
	open := []string{"portal.css", "icon.svg", "sign-in", "sign-in/here", "sign-in/at/{provider}", "callback", "callback/{provider}", "signed-out", "back-channel-logout"}
	for _, route := range f.portal.Routes() {
		if route.Machine {
			continue
		}
		if slices.Contains(open, route.Path) {
			continue
		}
		path := "/auth/" + strings.NewReplacer("{$}", "", "{", "", "}", "").Replace(route.Path)
		var form url.Values
		if route.Method == http.MethodPost {
			form = url.Values{"confirmed": {"yes"}}
		}
		g := f.browser().do(route.Method, path, form, "Sec-Fetch-Mode", "cors")
		if g.status != http.StatusUnauthorized {
			t.Errorf("%s %s: %d", route.Method, path, g.status)
		}
	}
}
