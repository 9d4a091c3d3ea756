package registryauth_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// tokenRegistry makes the fake registry one that gives nothing without one of
// its tokens. Tokens are good until they are withdrawn.
type tokenRegistry struct {
	mu     sync.Mutex
	good   map[string]string // token: scopes
	made   int
	bodies []string // of what was pushed
	answer http.HandlerFunc
	login  string // "user:password"; "": nobody's
	down   bool   // the token service is away
}

func (r *tokenRegistry) withdraw() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.good)
}

// guard is where tokens are got, and what asks for them.
func (r *tokenRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.URL.Path == "/token" {
		user, password, _ := req.BasicAuth()
		switch {
		case r.down:
			w.WriteHeader(http.StatusServiceUnavailable)
		case req.Method != http.MethodGet:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case r.login != "" && user+":"+password != r.login:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			r.made++
			token := fmt.Sprintf("t%d", r.made)
			r.good[token] = strings.Join(req.URL.Query()["scope"], " ")
			fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, token)
		}
		return
	}
	token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	if _, ok := r.good[token]; !ok {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="theirs"`, req.Host))
		w.Header().Set("X-Refused", "yes")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "who are you")
		return
	}
	r.answer(w, req)
}

// behindTokens starts a gateway in front of such a registry. UPSTREAM in the
// settings is the registry's address.
func behindTokens(t *testing.T, settings string) (*gateway, *tokenRegistry) {
	t.Helper()
	g := startGateway(t, standardRealm)
	r := &tokenRegistry{good: map[string]string{}, login: "gateway:s3cret"}
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut {
			w.WriteHeader(http.StatusCreated)
		}
	}
	g.upstream.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		if req.Header.Get("Authorization") != "" && req.Method != http.MethodGet && req.URL.Path != "/token" {
			r.mu.Lock()
			r.bodies = append(r.bodies, string(body))
			r.mu.Unlock()
		}
		g.upstream.mu.Lock()
		if req.URL.Path != "/token" {
			g.upstream.requests = append(g.upstream.requests, req)
		}
		g.upstream.mu.Unlock()
		r.ServeHTTP(w, req)
	})
	g.load(standardRealm + strings.ReplaceAll(settings, "UPSTREAM", g.upstream.URL))
	g.upstream.seen()
	return g, r
}

// shown are the credentials that reached the registry.
func (g *gateway) shown() []string {
	var list []string
	for _, r := range g.upstream.seen() {
		list = append(list, r.Header.Get("Authorization"))
	}
	return list
}

// TestTokensOfTheRegistry: a registry that speaks the token protocol can stand
// behind the gateway. What it does not accept any more is replaced.
func TestTokensOfTheRegistry(t *testing.T) {
	t.Setenv("REGISTRY_PASSWORD", "s3cret")
	g, r := behindTokens(t, "upstream_auth token UPSTREAM gateway {env.REGISTRY_PASSWORD}\n")
	robot := basic("robot$ci", g.robot)
	pulls := func(want ...string) {
		t.Helper()
		if a := g.do("GET", manifest, "", robot); a.StatusCode != 200 || a.Header.Get("X-Refused") != "" || a.Header.Get("WWW-Authenticate") != "" {
			t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
		}
		if got := g.shown(); !slices.Equal(got, want) {
			t.Errorf("the registry saw %q, want %q", got, want)
		}
	}
	pulls("", "Bearer t1") // the first asks how it wants to be asked
	if got := r.good["t1"]; got != "repository:team/app:pull" {
		t.Errorf("scopes %q", got)
	}
	pulls("Bearer t1")

	r.withdraw()
	pulls("Bearer t1", "Bearer t2")

	const text = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`
	if a := g.do("PUT", manifest, text, robot, header("Content-Type", "application/vnd.oci.image.manifest.v1+json")); a.StatusCode != 201 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	r.withdraw()
	r.bodies, _ = nil, g.shown()
	if a := g.do("PUT", manifest, text, robot, header("Content-Type", "application/vnd.oci.image.manifest.v1+json")); a.StatusCode != 201 {
		t.Errorf("a manifest after the token was withdrawn: %d %s", a.StatusCode, a.body)
	}
	if len(r.bodies) < 2 || r.bodies[len(r.bodies)-1] != text {
		t.Errorf("manifests that arrived: %q", r.bodies)
	}

	// The body of an upload is gone: the client comes again.
	if a := g.do("PUT", "/v2/team/app/blobs/uploads/1?digest=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "layer", robot); a.StatusCode != 201 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	r.withdraw()
	if a := g.do("PUT", "/v2/team/app/blobs/uploads/1?digest=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "layer", robot); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || a.code() != "UNAVAILABLE" {
		t.Errorf("an upload after the token was withdrawn: %d %v %s", a.StatusCode, a.Header, a.body)
	}
	if a := g.do("PUT", "/v2/team/app/blobs/uploads/1?digest=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "layer", robot); a.StatusCode != 201 {
		t.Errorf("and again: %d %s", a.StatusCode, a.body)
	}

	// Tokens outlive a reload that leaves them alone.
	pulls2 := func() int { g.do("GET", manifest, "", robot); return r.made }
	made := pulls2()
	g.load(standardRealm + "explain_denials\n" + strings.ReplaceAll("upstream_auth token UPSTREAM gateway {env.REGISTRY_PASSWORD}\n", "UPSTREAM", g.upstream.URL))
	if now := pulls2(); now != made {
		t.Errorf("%d tokens after a reload, %d before", now, made)
	}
}

// TestOneRealmIsDeclaredInOneWay: two routes that declare the same realm say the
// same of who can sign in, and of what the registry is shown.
func TestOneRealmIsDeclaredInOneWay(t *testing.T) {
	const site = `{
	admin off
}
http://127.0.0.1:0 {
	handle /a/* {
		registry_auth {
			realm shared
			local {
				user alice {env.HASH} FIRST
			}
			upstream_auth basic gateway FIRST
		}
		respond 200
	}
	handle {
		registry_auth {
			realm shared
			local {
				user alice {env.HASH} THIRD
			}
			upstream_auth basic gateway SECOND
		}
		respond 200
	}
}`
	t.Setenv("HASH", "$2a$10$Yg72T1/I4y0DPXcgLdQ7N.yBzSxv6XFvk0CgDpn5wDfNAhDW57ide")
	for second, third := range map[string]string{"one": "one", "two": "one", "one ": "two"} {
		text := strings.NewReplacer("FIRST", "one", "SECOND", second, "THIRD", third).Replace(site)
		if err := loadCaddyfile(t, text); (err == nil) != (second == third) {
			t.Errorf("with %s and %s: %v", second, third, err)
		}
	}
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
}

// TestNobodysTokens: some registries give nothing without a token, and a token
// to everybody.
func TestNobodysTokens(t *testing.T) {
	g, r := behindTokens(t, "upstream_auth token UPSTREAM\n")
	r.login = ""
	if a := g.do("GET", manifest, "", basic("robot$ci", g.robot)); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// TestRefusedUpstreamLogins: what will never work does not say "try again", and
// the log says which credential was refused by whom.
func TestRefusedUpstreamLogins(t *testing.T) {
	g, r := behindTokens(t, "upstream_auth token UPSTREAM gateway wrong\n")
	robot := basic("robot$ci", g.robot)
	a := g.do("GET", manifest, "", robot)
	if a.StatusCode != 502 || a.Header.Get("Retry-After") != "" || strings.Contains(a.body, "try again") {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	host := strings.TrimPrefix(g.upstream.URL, "http://")
	lines := g.logLines("the gateway has no credential that the registry accepts")
	if len(lines) == 0 || !strings.Contains(fmt.Sprint(lines), host+" gives gateway no token") || strings.Contains(fmt.Sprint(lines), "wrong") {
		t.Errorf("log: %v", lines)
	}
	// A login that is good, for an account that may not do it.
	g.load(standardRealm + "upstream_auth token " + g.upstream.URL + " gateway s3cret\n")
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="theirs",error="insufficient_scope"`, req.Host))
		w.WriteHeader(http.StatusUnauthorized)
	}
	for range 3 {
		if a := g.do("GET", manifest, "", robot); a.StatusCode != 502 || a.Header.Get("Retry-After") != "" || strings.Contains(a.body, "try again") {
			t.Errorf("an account that may not: %d %v %s", a.StatusCode, a.Header, a.body)
		}
	}
	if r.made != 2 {
		t.Errorf("%d tokens were got in vain", r.made)
	}
	const upload = "/v2/team/app/blobs/uploads/1?digest=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for _, want := range []int{503, 502, 502} {
		if a := g.do("PUT", upload, "layer", robot); a.StatusCode != want {
			t.Errorf("an upload: %d, want %d: %s", a.StatusCode, want, a.body)
		}
	}
	r.mu.Lock()
	r.down = true
	r.mu.Unlock()
	g.load(standardRealm + "upstream_auth token " + g.upstream.URL + "/ gateway s3cret\n")
	if a := g.do("GET", manifest, "", robot); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("while the token service is away: %d %v %s", a.StatusCode, a.Header, a.body)
	}
	const refused = "the registry does not accept the gateway's credential: see upstream_auth"
	before := len(g.logLines(refused))
	g.load(standardRealm + "upstream_auth basic gateway wrong\n")
	if a := g.do("GET", manifest, "", robot); a.StatusCode != 502 || a.Header.Get("Retry-After") != "" {
		t.Errorf("a fixed login: %d %v %s", a.StatusCode, a.Header, a.body)
	}
	if n := len(g.logLines(refused)) - before; n != 1 {
		t.Errorf("%d log lines", n)
	}
}

// TestLoginsThatChange: the gateway goes on when the file with its login gets
// another one, and with what a program has.
func TestLoginsThatChange(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "login")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("gateway:old")
	g := startGateway(t, standardRealm+"upstream_auth file "+path+"\n")
	good := "gateway:old"
	var mu sync.Mutex
	g.upstream.respond(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if user, password, _ := r.BasicAuth(); user+":"+password != good {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	robot := basic("robot$ci", g.robot)
	if a := g.do("GET", manifest, "", robot); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	write("gateway:changed")
	mu.Lock()
	good = "gateway:changed"
	mu.Unlock()
	if a := g.do("GET", manifest, "", robot); a.StatusCode != 200 {
		t.Errorf("with another password: %d %s", a.StatusCode, a.body)
	}

	helper := filepath.Join(dir, "docker-credential-test")
	if err := os.WriteFile(helper, []byte("#!/bin/sh\necho '{\"Username\":\"gateway\",\"Secret\":\"changed\"}'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	g.load(standardRealm + "upstream_auth exec registry.test " + helper + "\n")
	if a := g.do("GET", manifest, "", robot); a.StatusCode != 200 {
		t.Errorf("with a program: %d %s", a.StatusCode, a.body)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"auths":{"registry.test":{"username":"gateway","password":"changed"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	g.load(standardRealm + "upstream_auth docker_config registry.test " + filepath.Join(dir, "config.json") + "\n")
	if a := g.do("GET", manifest, "", robot); a.StatusCode != 200 {
		t.Errorf("with docker's configuration: %d %s", a.StatusCode, a.body)
	}
	for setting, want := range map[string]string{
		"upstream_auth exec registry.test /no/such/program":                     "no such file",
		"upstream_auth file /no/such/file":                                      "no such file",
		"upstream_auth docker_config registry.test /no/such/file":               "no such file",
		"upstream_auth token http://registry.test":                              "give the realm",
		"upstream_auth token https://registry.test {\nlogin passthrough\n}":     "login: want basic",
		"upstream_auth token https://registry.test {\nlogin token https://x\n}": "login: want basic",
		"upstream_auth tokens https://registry.test":                            `did you mean "token"`,
	} {
		if err := g.tryLoad(standardRealm + setting + "\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

// TestOwnQuestionsUseTheCredential: what the gateway itself asks a registry with
// tokens of its own, for an immutable tag and for the catalog.
func TestOwnQuestionsUseTheCredential(t *testing.T) {
	g, r := behindTokens(t, "upstream_auth token UPSTREAM gateway s3cret\n project sealed/** {\nimmutable **\ndeveloper robot:ci\n}\ncatalog filtered\n")
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case req.URL.Path == "/v2/_catalog":
			_, _ = io.WriteString(w, `{"repositories":["other/x","team/app"]}`)
		default:
			w.WriteHeader(http.StatusCreated)
		}
	}
	robot := basic("robot$ci", g.robot)
	if a := g.do("PUT", "/v2/sealed/app/manifests/v1", `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`, robot, header("Content-Type", "application/vnd.oci.image.manifest.v1+json")); a.StatusCode != 201 {
		t.Errorf("a new immutable tag: %d %s", a.StatusCode, a.body)
	}
	if a := g.do("GET", "/v2/_catalog", "", robot); a.StatusCode != 200 || !strings.Contains(a.body, "team/app") || strings.Contains(a.body, "other") {
		t.Errorf("the catalog: %d %s", a.StatusCode, a.body)
	}
	var scopes []string
	for _, s := range r.good {
		scopes = append(scopes, s)
	}
	for _, want := range []string{"registry:catalog:*", "repository:sealed/app:pull", "repository:sealed/app:pull,push"} {
		if !slices.Contains(scopes, want) {
			t.Errorf("no token for %s in %q", want, scopes)
		}
	}
	r.withdraw()
	r.login = "somebody:else"
	if a := g.do("PUT", "/v2/sealed/app/manifests/v2", `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`, robot, header("Content-Type", "application/vnd.oci.image.manifest.v1+json")); a.StatusCode != 502 || strings.Contains(a.body, "try again") {
		t.Errorf("the question is refused: %d %s", a.StatusCode, a.body)
	}
}
