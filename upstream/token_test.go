package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

// clock is a clock that tests turn.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// dialect is how a registry of the world gives tokens.
type dialect struct {
	challenge func(realm, path string) string // of /v2/ and the catalog
	postCode  int                             // answers POST so; 0: takes it
	answer    func(token string) map[string]any
	login     string // "user:password" or an identity token that it takes; "": anybody's
}

// world is a registry and its token service.
type world struct {
	*httptest.Server
	dialect
	asked, probes atomic.Int64
	down          atomic.Bool
	mu            sync.Mutex
	scopes        []string // of the last question
	method        string
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if w.down.Load() {
		rw.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/v2/"):
		w.probes.Add(1)
		rw.Header().Set("WWW-Authenticate", w.challenge(w.URL+"/token", r.URL.Path))
		rw.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/token":
		w.token(rw, r)
	case r.URL.Path == "/oauth2/exchange":
		if r.FormValue("grant_type") != "access_token" || r.FormValue("access_token") != "entra" || r.FormValue("service") == "" {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(rw).Encode(map[string]string{"refresh_token": "refresh"})
	default:
		rw.WriteHeader(http.StatusNotFound)
	}
}

func (w *world) token(rw http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && w.postCode != 0 {
		rw.WriteHeader(w.postCode)
		return
	}
	_ = r.ParseForm()
	shown := r.FormValue("username") + ":" + r.FormValue("password")
	if user, password, ok := r.BasicAuth(); ok {
		shown = user + ":" + password
	}
	if r.FormValue("grant_type") == "refresh_token" {
		shown = r.FormValue("refresh_token")
	}
	if w.login != "" && shown != w.login {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	n := w.asked.Add(1)
	w.mu.Lock()
	w.method = r.Method
	if w.scopes = r.Form["scope"]; r.Method == http.MethodPost {
		w.scopes = strings.Fields(r.FormValue("scope"))
	}
	w.mu.Unlock()
	_ = json.NewEncoder(rw).Encode(w.answer(fmt.Sprint("t", n)))
}

func newWorld(t *testing.T, d dialect) *world {
	t.Helper()
	w := &world{dialect: d}
	w.Server = httptest.NewServer(w)
	t.Cleanup(w.Close)
	return w
}

func bearerOf(service string) func(realm, path string) string {
	return func(realm, _ string) string { return fmt.Sprintf("Bearer realm=%q,service=%q", realm, service) }
}

func lives(seconds int) func(string) map[string]any {
	return func(token string) map[string]any { return map[string]any{"token": token, "expires_in": seconds} }
}

var hub = dialect{challenge: bearerOf("registry.docker.io"), answer: lives(300), login: "me:secret"}

// tokens are the credentials for a world.
func tokens(t *testing.T, w *world, c *clock, l Logins) *Tokens {
	t.Helper()
	made, err := NewTokens(TokenConfig{Registry: w.URL}, l, nil, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// shows gets what is shown for a question.
func shows(t *testing.T, c Credentials, q Question) string {
	t.Helper()
	h, err := c.Authorization(t.Context(), q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return strings.Join(h, "|")
}

var (
	me     = Fixed{Username: "me", Password: "secret"}
	pull   = Question{Repository: "team/app", Actions: authz.Pull}
	push   = Question{Repository: "team/app", Actions: authz.Push}
	listed = Question{Catalog: true}
)

func TestRegistriesOfTheWorld(t *testing.T) {
	jwtFor := func(d time.Duration) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(time.Now().Add(d))}).SignedString([]byte("k"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	harbor := func(realm, path string) string {
		if path == "/v2/_catalog" {
			return `Basic realm="harbor"`
		}
		return bearerOf("harbor-registry")(realm, path)
	}
	for name, x := range map[string]struct {
		dialect dialect
		login   Logins
		acr     bool
		want    string // for pull, "" for t1
		catalog string // for the catalog, "" for a token
		lives   time.Duration
	}{
		"Docker Hub":            {dialect: hub, login: me, lives: 300 * time.Second},
		"GHCR, no expires_in":   {dialect: dialect{challenge: bearerOf("ghcr.io"), answer: func(s string) map[string]any { return map[string]any{"token": s} }, login: "me:secret", postCode: 405}, login: me, lives: time.Minute},
		"GHCR, anonymous":       {dialect: dialect{challenge: bearerOf("ghcr.io"), answer: func(s string) map[string]any { return map[string]any{"token": s} }}, lives: time.Minute},
		"Quay":                  {dialect: dialect{challenge: bearerOf("quay.io"), answer: lives(3600), login: "me:secret", postCode: 404}, login: me, lives: time.Hour},
		"GitLab":                {dialect: dialect{challenge: bearerOf("container_registry"), answer: lives(300), login: "me:secret", postCode: 401}, login: me, lives: 300 * time.Second},
		"Artifactory, POST 400": {dialect: dialect{challenge: bearerOf("a"), answer: lives(300), login: "me:secret", postCode: 400}, login: me, lives: 300 * time.Second},
		"Harbor, Basic catalog": {dialect: dialect{challenge: harbor, answer: lives(1800), login: "me:secret"}, login: me, lives: 1800 * time.Second, catalog: "Basic bWU6c2VjcmV0"},
		"ECR, Basic":            {dialect: dialect{challenge: func(string, string) string { return `Basic realm="https://ecr",service="ecr.amazonaws.com"` }}, login: me, want: "Basic bWU6c2VjcmV0", catalog: "Basic bWU6c2VjcmV0", lives: time.Minute},
		"access_token":          {dialect: dialect{challenge: bearerOf("x"), answer: func(s string) map[string]any { return map[string]any{"access_token": s, "expires_in": 60} }, login: "me:secret"}, login: me, lives: time.Minute},
		"ACR":                   {dialect: dialect{challenge: bearerOf("x.azurecr.io"), answer: func(string) map[string]any { return map[string]any{"access_token": jwtFor(75 * time.Minute)} }, login: "refresh"}, login: Fixed{Bearer: "entra"}, acr: true, want: "Bearer ey", lives: 75 * time.Minute},
		"ACR, identity token":   {dialect: dialect{challenge: bearerOf("x.azurecr.io"), answer: lives(60), login: "refresh"}, login: Fixed(NewLogin("00000000-0000-0000-0000-000000000000", "refresh")), lives: time.Minute},
		"an identity token":     {dialect: dialect{challenge: bearerOf("x"), answer: lives(60), login: "refresh"}, login: Fixed(NewLogin("<token>", "refresh")), lives: time.Minute},
		"two challenges":        {dialect: dialect{challenge: func(realm, _ string) string { return `Basic realm="x", Bearer realm="` + realm + `", service="x"` }, answer: lives(60), login: "me:secret"}, login: me, lives: time.Minute},
		"a realm with a query":  {dialect: dialect{challenge: func(realm, _ string) string { return `bearer REALM="` + realm + `?a=b"` }, answer: lives(60), login: "me:secret"}, login: me, lives: time.Minute},
		"expires_in as a text":  {dialect: dialect{challenge: bearerOf("x"), answer: func(s string) map[string]any { return map[string]any{"token": s, "expires_in": "90"} }, login: "me:secret"}, login: me, lives: 90 * time.Second},
		"a token out of a cache": {dialect: dialect{challenge: bearerOf("x"), answer: func(s string) map[string]any {
			return map[string]any{"token": s, "expires_in": 300, "issued_at": time.Now().Add(-4 * time.Minute).Format(time.RFC3339)}
		}, login: "me:secret"}, login: me, lives: 60 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			w := newWorld(t, x.dialect)
			made, err := NewTokens(TokenConfig{Registry: w.URL, ACR: x.acr}, x.login, nil, c.now)
			if err != nil {
				t.Fatal(err)
			}
			first := shows(t, made, pull)
			if want := x.want; want == "" && first != "Bearer t1" || !strings.HasPrefix(first, want) {
				t.Errorf("shows %.40q, want %q", first, want)
			}
			if again := shows(t, made, pull); again != first {
				t.Errorf("shows another: %q", again)
			}
			if h := shows(t, made, listed); x.catalog != "" && h != x.catalog || x.catalog == "" && !strings.HasPrefix(h, "Bearer ") {
				t.Errorf("for the catalog: %q", h)
			}
			v, _ := made.tokens.Load(pull)
			if k := v.(*held[[]string]).value.Load(); k.until.After(c.now().Add(x.lives)) || k.until.Before(c.now().Add(x.lives*9/10-2*time.Second)) {
				t.Errorf("used for %s, want %s", k.until.Sub(c.now()), x.lives)
			}
		})
	}
}

func TestScopesThatAreAskedFor(t *testing.T) {
	w := newWorld(t, hub)
	made := tokens(t, w, newClock(), me)
	for q, want := range map[Question]string{
		{}:     "",
		pull:   "repository:team/app:pull",
		push:   "repository:team/app:pull,push",
		listed: "registry:catalog:*",
		{Repository: "team/app", Actions: authz.Delete}:                   "repository:team/app:delete",
		{Repository: "team/app", Actions: authz.List}:                     "repository:team/app:pull",
		{Repository: "team/app", Actions: authz.Overwrite}:                "repository:team/app:pull,push",
		{Repository: "team/app", Actions: authz.Push, From: "other/base"}: "repository:team/app:pull,push repository:other/base:pull",
	} {
		shows(t, made, q)
		if got := strings.Join(w.scopes, " "); got != want {
			t.Errorf("%+v: %q, want %q", q, got, want)
		}
	}
	if got := Ask([]authz.Access{{Type: "repository", Name: "a", Actions: authz.Push}, {Type: "repository", Name: "b", Actions: authz.Pull}}); got != (Question{Repository: "a", Actions: authz.Push, From: "b"}) {
		t.Errorf("a mount asks %+v", got)
	}
}

// TestPostIsRefusedOnce: a token service that takes no POST is not asked so for
// every token.
func TestPostIsRefusedOnce(t *testing.T) {
	d := hub
	d.postCode = 405
	w := newWorld(t, d)
	made := tokens(t, w, newClock(), me)
	shows(t, made, pull)
	if !made.byGet.Load() || w.method != http.MethodGet {
		t.Error("POST is tried again")
	}
}

func TestTokensAreSharedAndRenewed(t *testing.T) {
	c := newClock()
	w := newWorld(t, hub)
	made := tokens(t, w, c, me)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if h, err := made.Authorization(context.Background(), pull); err != nil || h[0] != "Bearer t1" {
				t.Errorf("%q %v", h, err)
			}
		})
	}
	all.Wait()
	if n := w.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	c.advance(285 * time.Second) // in the last twentieth but still good
	if h := shows(t, made, pull); h != "Bearer t1" {
		t.Errorf("ahead of the end: %q", h)
	}
	eventually(t, "it is renewed", func() bool { return shows(t, made, pull) == "Bearer t2" })
	w.down.Store(true)
	c.advance(285 * time.Second)
	for range 3 {
		if h := shows(t, made, pull); h != "Bearer t2" {
			t.Errorf("while the token service is away: %q", h)
		}
	}
	c.advance(15 * time.Second)
	if _, err := made.Authorization(t.Context(), pull); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after its end: %v", err)
	}
	w.down.Store(false)
	c.advance(unavailableFor)
	shows(t, made, pull)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 200 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("not seen: %s", what)
}

func TestRefusedLoginsAreNotTriedByEverybody(t *testing.T) {
	c := newClock()
	w := newWorld(t, hub)
	made := tokens(t, w, c, Fixed{Username: "me", Password: "wrong"})
	var attempts atomic.Int64
	next := w.Config.Handler
	w.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			attempts.Add(1)
		}
		next.ServeHTTP(rw, r)
	})
	for range 20 {
		_, err := made.Authorization(t.Context(), pull)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "gives me no token") || strings.Contains(err.Error(), "wrong") {
			t.Fatal(err)
		}
	}
	if n := attempts.Load(); n != 2 { // POST and GET
		t.Errorf("the token service was asked %d times", n)
	}
}

// TestRefusedTokensAreDropped: after a 401 another token is got, for the scopes
// that the registry names if they are about what was asked.
func TestRefusedTokensAreDropped(t *testing.T) {
	w := newWorld(t, hub)
	made := tokens(t, w, newClock(), me)
	del := Question{Repository: "team/app", Actions: authz.Delete}
	h, err := made.Authorization(t.Context(), del)
	if err != nil {
		t.Fatal(err)
	}
	if !made.Refused(del, h, []string{`Bearer realm="https://evil.test/token",service="x",scope="repository:team/app:delete,pull,*"`}) {
		t.Error("no other try")
	}
	if got := shows(t, made, del); got != "Bearer t2" || w.scopes[0] != "repository:team/app:delete,pull,*" {
		t.Errorf("%q for %q", got, w.scopes)
	}
	made.Accepted(del)
	if !made.Refused(del, []string{"Bearer t2"}, []string{`Bearer scope="repository:other/app:pull"`}) {
		t.Error("no other try, though the token was good before")
	}
	shows(t, made, del)
	if strings.Contains(strings.Join(w.scopes, " "), "other") {
		t.Errorf("the registry chooses what is asked for: %q", w.scopes)
	}
	if made.Refused(del, []string{"Bearer t1"}, nil); shows(t, made, del) != "Bearer t3" {
		t.Error("a token is dropped although another one was refused")
	}
}

// TestRefusedTwiceIsRefused: where a new token is refused as the one before was, the
// account may not do this. That is said, not tried again for every request.
func TestRefusedTwiceIsRefused(t *testing.T) {
	c := newClock()
	w := newWorld(t, hub)
	made := tokens(t, w, c, me)
	h, err := made.Authorization(t.Context(), pull)
	if err != nil || !made.Refused(pull, h, nil) {
		t.Fatal(err)
	}
	if h, err = made.Authorization(t.Context(), pull); err != nil || made.Refused(pull, h, nil) {
		t.Fatal("tried again and again", err)
	}
	for range 20 {
		if _, err := made.Authorization(t.Context(), pull); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "accepts no token for repository:team/app:pull") {
			t.Fatal(err)
		}
	}
	if n, probes := w.asked.Load(), w.probes.Load(); n != 2 || probes != 1 {
		t.Errorf("%d tokens and %d probes", n, probes)
	}
	if got := shows(t, made, push); got != "Bearer t3" {
		t.Errorf("another right: %s", got)
	}
	c.advance(refusedFor)
	if got := shows(t, made, pull); got != "Bearer t4" {
		t.Errorf("after a while: %s", got)
	}
	if h, _ := made.Authorization(t.Context(), pull); !made.Refused(pull, h, nil) {
		t.Error("after a while, no other try")
	}
}

func TestCredentialsGoNowhereElse(t *testing.T) {
	var seen atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer elsewhere.Close()
	for name, x := range map[string]struct {
		registry string
		c        challenge
		err      string
	}{
		"http realm":             {"https://r.example", challenge{"bearer", map[string]string{"realm": "http://auth.example/token"}}, "not https"},
		"http on this machine":   {"https://r.example", challenge{"bearer", map[string]string{"realm": "http://127.0.0.1/token"}}, "not https"},
		"no URL":                 {"https://r.example", challenge{"bearer", map[string]string{"realm": "r"}}, "not an absolute URL"},
		"a user in it":           {"https://r.example", challenge{"bearer", map[string]string{"realm": "https://a@auth.example"}}, "not an absolute URL"},
		"no scheme that we know": {"https://r.example", challenge{"negotiate", nil}, "no way that is known"},
	} {
		made, err := NewTokens(TokenConfig{Registry: x.registry}, me, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := made.choose([]challenge{x.c}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), x.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A realm on another host at an address that only we can reach.
	made, err := NewTokens(TokenConfig{Registry: "https://r.example"}, me, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, realm := range []string{"https://127.0.0.1:1/token", "https://169.254.169.254/token", "https://10.0.0.1/token", "https://[::1]/token", "https://[fd00::1]/token", "https://100.64.0.1/token", "https://localhost:1/token"} {
		w, err := made.choose([]challenge{{"bearer", map[string]string{"realm": realm}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := made.token(t.Context(), w, Login(me), pull); !errors.Is(err, errPrivate) || !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", realm, err)
		}
	}
	// Redirects carry nothing along.
	d := hub
	w := newWorld(t, d)
	w.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			http.Redirect(rw, r, elsewhere.URL, http.StatusTemporaryRedirect)
			return
		}
		w.ServeHTTP(rw, r)
	})
	if _, err := tokens(t, w, newClock(), me).Authorization(t.Context(), pull); err == nil || seen.Load() != 0 {
		t.Errorf("%v, %d requests elsewhere", err, seen.Load())
	}
}

func TestTokenSettingsAreChecked(t *testing.T) {
	for c, want := range map[TokenConfig]string{
		{Registry: "https://ghcr.io"}:                                      "",
		{Registry: "http://127.0.0.1:5000"}:                                "",
		{Registry: "http://registry:5000", Realm: "https://sso.example/t"}: "",
		{Registry: "http://registry:5000"}:                                 "give the realm",
		{Registry: "http://registry:5000", Realm: "http://sso.example/t"}:  "not https",
		{Registry: "ghcr.io"}:                                              "want its address",
		{Registry: "https://ghcr.io/v2/"}:                                  "without /v2/",
		{Registry: "https://a:b@ghcr.io"}:                                  "user, query",
		{Registry: "https://x.azurecr.io", ACRTenant: "t"}:                 "acr_exchange",
	} {
		if err := c.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	// A password is not shown over http because an answer over http says so.
	made, err := NewTokens(TokenConfig{Registry: "http://registry.example", Realm: "https://sso.example/t"}, me, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made.choose([]challenge{{"basic", nil}}); !errors.Is(err, ErrRefused) {
		t.Errorf("Basic over http: %v", err)
	}
}

func TestTokensAreBounded(t *testing.T) {
	w := newWorld(t, hub)
	made := tokens(t, w, newClock(), me)
	shows(t, made, pull)
	made.count.Store(maxTokens)
	shows(t, made, push)
	if _, kept := made.tokens.Load(pull); kept || made.count.Load() != 1 {
		t.Errorf("%d are kept", made.count.Load())
	}
}

func TestChallenges(t *testing.T) {
	for header, want := range map[string][]challenge{
		`Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"`: {{"bearer", map[string]string{"realm": "https://a/t", "service": "s", "scope": "repository:a/b:pull,push"}}},
		`Basic`: {{"basic", map[string]string{}}},
		`Basic realm="a\"b", Bearer realm=x , y = z`: {{"basic", map[string]string{"realm": `a"b`}}, {"bearer", map[string]string{"realm": "x", "y": "z"}}},
		`, ,Negotiate,Bearer realm="x"`:              {{"negotiate", map[string]string{}}, {"bearer", map[string]string{"realm": "x"}}},
		`Bearer realm="x`:                            {{"bearer", map[string]string{}}},
		`Bearer realm="x",realm="y"`:                 {{"bearer", map[string]string{"realm": "x"}}},
		`"x"`:                                        nil,
		``:                                           nil,
	} {
		if got := parseChallenges([]string{header}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", header, got, want)
		}
	}
	if n := len(parseChallenges([]string{strings.Repeat("Basic,", 1000)})); n != maxChallenges {
		t.Errorf("%d challenges", n)
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a/t",service="s"`)
	f.Add(`Basic realm=a, Bearer x`)
	f.Fuzz(func(t *testing.T, header string) {
		for _, c := range parseChallenges([]string{header}) {
			if c.scheme == "" || c.scheme != strings.ToLower(c.scheme) {
				t.Errorf("%q: %v", header, c)
			}
		}
	})
}

// TestDirect: what a program or a file has is shown to the registry itself, and
// shown again only if it is another by then.
func TestDirect(t *testing.T) {
	now := Login{Username: "me", Password: "old"}
	l := &changing{get: func() Login { return now }}
	d := Direct{l}
	h, err := d.Authorization(t.Context(), pull)
	if err != nil || h[0] != "Basic bWU6b2xk" {
		t.Fatal(h, err)
	}
	if d.Refused(pull, h, nil) || l.refused != 1 {
		t.Errorf("the same login again, %d", l.refused)
	}
	now.Password = "new"
	if !d.Refused(pull, h, nil) {
		t.Error("the new login is not tried")
	}
	if _, err := (Login{IdentityToken: "x"}).header(); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	s, err := NewStatic(Login{Bearer: "x"})
	if got, _ := s.Authorization(t.Context(), pull); err != nil || !slices.Equal(got, []string{"Bearer x"}) || s.Refused(pull, got, nil) {
		t.Error(got, err)
	}
}

type changing struct {
	get     func() Login
	refused int
}

func (c *changing) Login(context.Context) (Login, error) { return c.get(), nil }
func (c *changing) Forget(Login)                         { c.refused++ }

func BenchmarkTokenInCache(b *testing.B) {
	w := &world{dialect: hub}
	w.Server = httptest.NewServer(w)
	defer w.Close()
	made, err := NewTokens(TokenConfig{Registry: w.URL}, me, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := made.Authorization(b.Context(), pull); err != nil {
			b.Fatal(err)
		}
	}
}
