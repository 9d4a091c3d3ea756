package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Dialect is how a registry of the world asks for a login.
type Dialect struct {
	Name string
	// Basic: there are no tokens, the registry takes the account itself.
	Basic bool
	// BasicCatalog: it does for the list of repositories (Harbor).
	BasicCatalog bool
	// RefusePost is the answer to POST at the token service; 0: it takes it.
	RefusePost int
	// Life is how long a token lives. Silent leaves expires_in out.
	Life   time.Duration
	Silent bool
	// AccessToken: the field is access_token (ACR).
	AccessToken bool
	// Identity: the account is an identity token, which POST exchanges.
	Identity bool
	// Anonymous: nobody needs an account, and everybody a token.
	Anonymous bool
	// Slow is how long the token service takes.
	Slow time.Duration
}

// Dialects are those of the registries that people use.
var Dialects = []Dialect{
	{Name: "hub", Life: 3 * time.Second},
	{Name: "ghcr", RefusePost: http.StatusMethodNotAllowed, Silent: true, Life: time.Minute},
	{Name: "quay", RefusePost: http.StatusNotFound, Life: 3 * time.Second, Slow: 200 * time.Millisecond},
	{Name: "gitlab", RefusePost: http.StatusUnauthorized, Life: 3 * time.Second},
	{Name: "harbor", BasicCatalog: true, Life: 3 * time.Second},
	{Name: "ecr", Basic: true},
	{Name: "acr", Identity: true, AccessToken: true, Life: 3 * time.Second},
	{Name: "public", Anonymous: true, Life: 3 * time.Second},
}

// Guard makes a registry ask for a login as a dialect does.
type Guard struct {
	// URL is the address of the registry with a guard.
	URL string

	dialect Dialect
	proxy   *httputil.ReverseProxy
	server  *http.Server
	mu      sync.Mutex
	tokens  map[string]guardToken
	made    int
}

type guardToken struct {
	until  time.Time
	scopes []string
}

// The account that every guard takes.
const (
	GuardUser     = "gateway"
	GuardPassword = "known-to-the-gateway"
)

// StartGuard puts a guard in front of the registry at target.
func StartGuard(target string, d Dialect) (*Guard, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("guard %s: %w", target, err)
	}
	g := &Guard{URL: "http://" + l.Addr().String(), dialect: d, tokens: map[string]guardToken{}}
	g.proxy = &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(u)
		p.Out.Host = p.In.Host
		p.Out.Header.Del("Authorization")
	}}
	g.server = &http.Server{Handler: g}
	go func() { _ = g.server.Serve(l) }()
	return g, nil
}

// Close ends the guard.
func (g *Guard) Close() error {
	if err := g.server.Close(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Made is how many tokens were given.
func (g *Guard) Made() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.made
}

// ServeHTTP is the token service, and the registry for those who have a token.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/auth/token" {
		g.give(w, r)
		return
	}
	wanted := scopesOf(r)
	basic := g.dialect.Basic || g.dialect.BasicCatalog && r.URL.Path == "/v2/_catalog"
	if basic {
		if user, password, _ := r.BasicAuth(); user == GuardUser && password == GuardPassword {
			g.proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		refuse(w)
		return
	}
	g.mu.Lock()
	token, ok := g.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	g.mu.Unlock()
	if ok && time.Now().Before(token.until) && !slices.ContainsFunc(wanted, func(s string) bool { return !token.covers(s) }) {
		g.proxy.ServeHTTP(w, r)
		return
	}
	challenge := fmt.Sprintf(`Bearer realm="%s/auth/token",service="registry.%s"`, g.URL, g.dialect.Name)
	if len(wanted) > 0 {
		challenge += fmt.Sprintf(`,scope=%q`, strings.Join(wanted, " "))
	}
	w.Header().Set("WWW-Authenticate", challenge)
	refuse(w)
}

func refuse(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`))
}

func (t guardToken) covers(scope string) bool {
	kind, rest, _ := strings.Cut(scope, ":")
	name, action, _ := strings.Cut(rest, ":")
	for _, have := range t.scopes {
		haveKind, haveRest, _ := strings.Cut(have, ":")
		haveName, actions, _ := strings.Cut(haveRest, ":")
		if haveKind == kind && haveName == name && (slices.Contains(strings.Split(actions, ","), action) || actions == "*") {
			return true
		}
	}
	return false
}

var repositoryPath = regexp.MustCompile(`^/v2/(.+)/(?:manifests|blobs|tags|referrers)/`)

// scopesOf are the scopes that a request needs, one for each action.
func scopesOf(r *http.Request) []string {
	if r.URL.Path == "/v2/_catalog" {
		return []string{"registry:catalog:*"}
	}
	m := repositoryPath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		return nil
	}
	name := "repository:" + m[1] + ":"
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return []string{name + "pull"}
	case http.MethodDelete:
		if !strings.Contains(r.URL.Path, "/uploads/") {
			return []string{name + "delete"}
		}
	}
	list := []string{name + "pull", name + "push"}
	if from := r.URL.Query().Get("from"); from != "" {
		list = append(list, "repository:"+from+":pull")
	}
	return list
}

// give gives a token for what is asked.
func (g *Guard) give(w http.ResponseWriter, r *http.Request) {
	time.Sleep(g.dialect.Slow)
	if r.Method == http.MethodPost && g.dialect.RefusePost != 0 {
		w.WriteHeader(g.dialect.RefusePost)
		return
	}
	scopes := r.URL.Query()["scope"]
	shown := ""
	if user, password, ok := r.BasicAuth(); ok {
		shown = user + ":" + password
	}
	if r.Method == http.MethodPost {
		scopes = strings.Fields(r.FormValue("scope"))
		switch r.FormValue("grant_type") {
		case "password":
			shown = r.FormValue("username") + ":" + r.FormValue("password")
		case "refresh_token":
			shown = r.FormValue("refresh_token")
		}
	}
	want := GuardUser + ":" + GuardPassword
	if g.dialect.Identity {
		want = GuardPassword
	}
	if shown != want && !g.dialect.Anonymous {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	g.mu.Lock()
	g.made++
	token := fmt.Sprintf("%s-%d", g.dialect.Name, g.made)
	g.tokens[token] = guardToken{time.Now().Add(g.dialect.Life), scopes}
	g.mu.Unlock()
	field := "token"
	if g.dialect.AccessToken {
		field = "access_token"
	}
	answer := map[string]any{field: token}
	if !g.dialect.Silent {
		answer["expires_in"] = int(g.dialect.Life.Seconds())
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}
