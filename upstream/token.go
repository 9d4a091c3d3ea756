package upstream

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-registry-auth/caddy-registry-auth/internal/loopback"
)

// TokenConfig is a registry that gives tokens, as a client of the Docker token
// protocol sees it (https://distribution.github.io/distribution/spec/auth/token/).
type TokenConfig struct {
	// The registry's address as it knows itself, such as
	// `https://registry-1.docker.io`. It is asked how it wants to be asked.
	Registry string `json:"registry"`

	// Where tokens are got, if the registry must not be the one to say so: it is
	// reached over http, or the address is a private one of another host.
	Realm string `json:"realm,omitempty"`

	// The service that tokens are for. Default: what the registry says.
	Service string `json:"service,omitempty"`

	// Exchange the password, an access token of Microsoft Entra ID, for the
	// identity token of an Azure Container Registry.
	ACR bool `json:"acr_exchange,omitempty"`

	// The tenant of that access token. Default: the registry finds it out.
	ACRTenant string `json:"acr_tenant,omitempty"`
}

// Validate returns what is wrong with the settings, naming the field.
func (c *TokenConfig) Validate() error {
	u, err := url.Parse(c.Registry)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("token: registry %.200q: want its address, such as https://registry.example.com", c.Registry)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("token: registry: the address has a user, query or fragment")
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/v2"):
		return fmt.Errorf("token: registry %.200q: without /v2/", c.Registry)
	case c.Realm == "" && u.Scheme == "http" && !loopback.Is(u.Hostname()):
		return errors.New("token: whoever is between could name a realm of his own in the answer of a registry that is reached over http: use https, or give the realm")
	case c.ACRTenant != "" && !c.ACR:
		return errors.New("token: acr_tenant is for acr_exchange")
	}
	if c.Realm != "" {
		if _, err := checkRealm(c.Realm, u); err != nil {
			return fmt.Errorf("token: %w", err)
		}
	}
	return nil
}

// Tokens are the credentials of a registry that gives tokens: got before they
// are needed, kept until they expire, renewed ahead of that.
type Tokens struct {
	config   TokenConfig
	registry *url.URL
	logins   Logins // nil: anonymous
	clients  clients
	now      func() time.Time

	ways   sync.Map // class of a question -> *held[way]
	tokens sync.Map // Question -> *held[[]string]
	count  atomic.Int64
	scopes sync.Map // Question -> []string, where the registry wants others
	byGet  atomic.Bool
}

// NewTokens makes the credentials. Logins may be nil: many registries give
// nothing without a token, and a token to everybody. A nil transport is the
// default one.
func NewTokens(c TokenConfig, logins Logins, transport *http.Transport, now func() time.Time) (*Tokens, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Registry)
	if err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	t := &Tokens{config: c, registry: u, logins: logins, clients: newClients(transport), now: now}
	if c.ACR {
		if logins == nil {
			return nil, errors.New("token: acr_exchange needs a login")
		}
		t.logins = newACRLogins(t, logins)
	}
	return t, nil
}

// way is how a class of questions is to be asked.
type way struct {
	scheme         string // "", "basic" or "bearer"
	realm          *url.URL
	service        string
	configured     bool // the realm is trusted whatever its address
	realmOfItsHost bool
}

// maxTokens bounds how many tokens are kept. All are dropped beyond: those in
// use are back at their next use.
const maxTokens = 10_000

// Authorization implements [Credentials].
func (t *Tokens) Authorization(ctx context.Context, q Question) ([]string, error) {
	v, ok := t.tokens.Load(q)
	if !ok {
		if t.count.Load() >= maxTokens {
			t.tokens.Clear()
			t.scopes.Clear()
			t.count.Store(0)
		}
		h := &held[[]string]{now: t.now, fetch: func(ctx context.Context) ([]string, lifetime, error) { return t.fetch(ctx, q) }}
		if v, ok = t.tokens.LoadOrStore(q, h); !ok {
			t.count.Add(1)
		}
	}
	return v.(*held[[]string]).get(ctx) //nolint:forcetypeassert // the map's own
}

// Refused implements [Credentials]. The token is dropped, and what was known of
// the way to ask; where the registry names scopes for what was asked, they are
// asked for the next time. A token that was got in place of a refused one and is
// refused itself says that the account may not do this, or not in any way that
// is known here.
func (t *Tokens) Refused(q Question, shown, challenges []string) (again bool) {
	t.held(class(q)).drop(refusedFor, func(way) bool { return true })
	for _, c := range parseChallenges(challenges) {
		wanted := strings.Fields(c.params["scope"])
		if c.scheme == "bearer" && len(wanted) > 0 && len(wanted) <= 8 && !slices.ContainsFunc(wanted, func(s string) bool { return !q.asks(s) }) {
			t.scopes.Store(q, wanted)
		}
	}
	if t.logins != nil {
		ctx, cancel := context.WithTimeout(context.Background(), loginTime)
		defer cancel()
		if l, err := t.logins.Login(ctx); err == nil {
			if h, err := l.header(); err == nil && slices.Equal(h, shown) {
				t.logins.Forget(l) // the registry wants the login itself
			}
		}
	}
	v, ok := t.tokens.Load(q)
	if !ok {
		return true // dropped with all others
	}
	why := fmt.Errorf("%w: %s accepts no token for %s", ErrRefused, t.registry.Host, cmp.Or(strings.Join(q.scopes(), " "), "/v2/"))
	return v.(*held[[]string]).refuse(func(h []string) bool { return slices.Equal(h, shown) }, why) //nolint:forcetypeassert // the map's own
}

// Accepted implements [Credentials].
func (t *Tokens) Accepted(q Question) {
	if v, ok := t.tokens.Load(q); ok {
		v.(*held[[]string]).refused.Store(0) //nolint:forcetypeassert // the map's own
	}
}

// Nature implements [Credentials].
func (t *Tokens) Nature() Nature { return Renewable }

// class tells questions that registries are asked in different ways: Harbor
// wants tokens for repositories, and a password for the catalog.
func class(q Question) string {
	if q.Catalog {
		return "/v2/_catalog?n=1"
	}
	return "/v2/"
}

func (t *Tokens) held(class string) *held[way] {
	if v, ok := t.ways.Load(class); ok {
		return v.(*held[way]) //nolint:forcetypeassert // the map's own
	}
	v, _ := t.ways.LoadOrStore(class, &held[way]{now: t.now, fetch: func(ctx context.Context) (way, lifetime, error) { return t.learn(ctx, class) }})
	return v.(*held[way]) //nolint:forcetypeassert // the map's own
}

// wayFor is how long it is remembered how a registry wants to be asked.
const wayFor = 10 * time.Minute

// learn asks the registry without a credential how it wants to be asked.
func (t *Tokens) learn(ctx context.Context, path string) (way, lifetime, error) {
	if t.config.Realm != "" && t.config.Service != "" && path == class(Question{}) {
		u, err := checkRealm(t.config.Realm, t.registry)
		return way{scheme: "bearer", realm: u, service: t.config.Service, configured: true}, livesFor(t.now(), wayFor), err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(t.registry.String(), "/")+path, nil)
	if err != nil {
		return way{}, lifetime{}, err
	}
	resp, err := send(t.clients.registry, r)
	if err != nil {
		return way{}, lifetime{}, fmt.Errorf("%w: asking %s how it wants to be asked: %w", ErrUnavailable, t.registry.Host, err)
	}
	life := livesFor(t.now(), wayFor)
	switch {
	case resp.status == http.StatusUnauthorized:
	case resp.status < 300 || resp.status == http.StatusNotFound || resp.status == http.StatusForbidden:
		return way{}, life, nil // no credential is needed, or none helps
	default:
		return way{}, lifetime{}, fmt.Errorf("%w: asked how it wants to be asked, %s answers %d", ErrUnavailable, t.registry.Host, resp.status)
	}
	w, err := t.choose(parseChallenges(resp.header["Www-Authenticate"]))
	return w, life, err
}

// choose takes the challenge to answer: Bearer where there is one, else Basic.
func (t *Tokens) choose(list []challenge) (way, error) {
	i := slices.IndexFunc(list, func(c challenge) bool {
		return c.scheme == "bearer" && (c.params["realm"] != "" || t.config.Realm != "")
	})
	if i < 0 {
		if slices.ContainsFunc(list, func(c challenge) bool { return c.scheme == "basic" }) {
			if t.registry.Scheme != "https" && !loopback.Is(t.registry.Hostname()) {
				return way{}, fmt.Errorf("%w: %s wants the password itself, over http", ErrRefused, t.registry.Host)
			}
			return way{scheme: "basic"}, nil
		}
		return way{}, fmt.Errorf("%w: %s asks for a login in no way that is known", ErrRefused, t.registry.Host)
	}
	c := list[i]
	w := way{scheme: "bearer", service: cmp.Or(t.config.Service, c.params["service"]), configured: t.config.Realm != ""}
	realm := cmp.Or(t.config.Realm, c.params["realm"])
	if strings.HasPrefix(realm, "/") && !strings.HasPrefix(realm, "//") {
		realm = t.registry.Scheme + "://" + t.registry.Host + realm
	}
	var err error
	if w.realm, err = checkRealm(realm, t.registry); err != nil {
		return way{}, fmt.Errorf("%w: %s: %w", ErrRefused, t.registry.Host, err)
	}
	w.realmOfItsHost = w.realm.Hostname() == t.registry.Hostname()
	return w, nil
}

// fetch gets what is shown for a question.
func (t *Tokens) fetch(ctx context.Context, q Question) ([]string, lifetime, error) {
	w, err := t.held(class(q)).get(ctx)
	if err != nil {
		return nil, lifetime{}, err
	}
	var l Login
	if t.logins != nil && w.scheme != "" {
		if l, err = t.logins.Login(ctx); err != nil {
			return nil, lifetime{}, err
		}
	}
	switch {
	case w.scheme == "":
		return nil, livesFor(t.now(), time.Minute), nil
	case l.Bearer != "" || w.scheme == "basic":
		if t.logins == nil {
			return nil, lifetime{}, fmt.Errorf("%w: %s wants a user name and a password, and none is configured", ErrRefused, t.registry.Host)
		}
		h, err := l.header()
		return h, livesFor(t.now(), time.Minute), err
	}
	token, life, err := t.token(ctx, w, l, q)
	if err != nil {
		if t.logins != nil && errors.Is(err, ErrRefused) {
			t.logins.Forget(l)
		}
		return nil, lifetime{}, err
	}
	return []string{"Bearer " + token}, life, nil
}

// token gets a token from the token service.
func (t *Tokens) token(ctx context.Context, w way, l Login, q Question) (string, lifetime, error) {
	scopes := q.scopes()
	if v, ok := t.scopes.Load(q); ok {
		scopes = v.([]string) //nolint:forcetypeassert // the map's own
	}
	asked := t.now()
	var body []byte
	var err error
	status := 0
	posts := l.IdentityToken != "" || l.Username != "" && !t.byGet.Load()
	if posts {
		if status, body, err = t.post(ctx, w, l, scopes); err != nil {
			return "", lifetime{}, err
		}
	}
	// Token services that take no POST, or not this one, say so in many ways;
	// they are asked again as docker asks.
	if !posts || l.IdentityToken == "" && slices.Contains(refusesPost, status) {
		if status, body, err = t.get(ctx, w, l, scopes); err != nil {
			return "", lifetime{}, err
		}
		if status == http.StatusOK && posts {
			t.byGet.Store(true)
		}
	}
	who := cmp.Or(l.Username, "nobody in particular")
	if l.IdentityToken != "" {
		who = "an identity token"
	}
	switch {
	case status == http.StatusOK:
	case status == http.StatusTooManyRequests || status >= 500:
		return "", lifetime{}, fmt.Errorf("%w: %s answers %d", ErrUnavailable, w.realm.Host, status)
	default:
		return "", lifetime{}, fmt.Errorf("%w: %s gives %s no token for %s: %d", ErrRefused, w.realm.Host, who, strings.Join(scopes, " "), status)
	}
	token, d, err := readToken(body, asked)
	if err != nil {
		return "", lifetime{}, fmt.Errorf("%w: %s: %w", ErrUnavailable, w.realm.Host, err)
	}
	return token, livesFor(asked, d), nil
}

var refusesPost = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType}

// clientID is how the gateway calls itself at token services.
const clientID = "caddy-registry-auth"

func (t *Tokens) post(ctx context.Context, w way, l Login, scopes []string) (int, []byte, error) {
	form := url.Values{"service": {w.service}, "client_id": {clientID}, "scope": {strings.Join(scopes, " ")}}
	if l.IdentityToken != "" {
		form.Set("grant_type", "refresh_token")
		form.Set("refresh_token", l.IdentityToken)
	} else {
		form.Set("grant_type", "password")
		form.Set("username", l.Username)
		form.Set("password", l.Password)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.realm.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return t.ask(w, r)
}

func (t *Tokens) get(ctx context.Context, w way, l Login, scopes []string) (int, []byte, error) {
	u := *w.realm
	query := u.Query()
	if w.service != "" {
		query.Set("service", w.service)
	}
	for _, s := range scopes {
		query.Add("scope", s)
	}
	if l.Username != "" {
		query.Set("account", l.Username)
	}
	u.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, nil, err
	}
	if l.Username != "" {
		r.SetBasicAuth(l.Username, l.Password)
	}
	return t.ask(w, r)
}

// ask asks a token service. One that the registry has named on another host is
// not looked for in networks that only we can reach.
func (t *Tokens) ask(w way, r *http.Request) (int, []byte, error) {
	client := t.clients.elsewhere
	if w.configured || w.realmOfItsHost || loopback.Is(t.registry.Hostname()) {
		client = t.clients.registry
	}
	resp, err := send(client, r)
	switch {
	case errors.Is(err, errPrivate):
		return 0, nil, fmt.Errorf("%w: %s sends the credential to %s: %w; if that is right, name it with realm", ErrRefused, t.registry.Host, w.realm.Host, err)
	case err != nil:
		return 0, nil, fmt.Errorf("%w: asking %s for a token: %w", ErrUnavailable, w.realm.Host, withoutQuery(err))
	}
	return resp.status, resp.body, nil
}

// withoutQuery takes the URL out of an error of the HTTP client.
func withoutQuery(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// readToken reads an answer of a token service, and how long the token lives:
// a minute where nothing says so, as the specification has it.
func readToken(body []byte, asked time.Time) (string, time.Duration, error) {
	var a struct {
		Token       string      `json:"token"`
		AccessToken string      `json:"access_token"`
		ExpiresIn   json.Number `json:"expires_in"`
		IssuedAt    time.Time   `json:"issued_at"`
	}
	if err := json.Unmarshal(body, &a); err != nil && a.Token == "" && a.AccessToken == "" {
		return "", 0, errors.New("the answer is not JSON with a token")
	}
	token := cmp.Or(a.Token, a.AccessToken)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", 0, errors.New("the answer has no token")
	}
	d := time.Minute
	if n, err := strconv.ParseFloat(a.ExpiresIn.String(), 64); err == nil && n > 0 {
		d = time.Duration(min(n, 7*24*3600) * float64(time.Second))
		if age := asked.Sub(a.IssuedAt); age > 0 && age < d {
			d -= age // out of a cache of the service
		}
	} else if end, ok := expiryOf(token); ok && end.After(asked) {
		d = end.Sub(asked)
	}
	return token, d, nil
}

// expiryOf is when a JWT expires. Its signature is the registry's business.
func expiryOf(token string) (time.Time, bool) {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil || claims.ExpiresAt == nil {
		return time.Time{}, false
	}
	return claims.ExpiresAt.Time, true
}

// acrLogins exchange access tokens of Microsoft Entra ID for identity tokens of
// an Azure Container Registry (Azure/acr, AAD-OAuth).
type acrLogins struct {
	inner Logins
	held  held[Login]
}

func newACRLogins(t *Tokens, inner Logins) *acrLogins {
	a := &acrLogins{inner: inner}
	a.held = held[Login]{now: t.now, fetch: func(ctx context.Context) (Login, lifetime, error) {
		l, err := inner.Login(ctx)
		if err != nil {
			return Login{}, lifetime{}, err
		}
		return t.exchange(ctx, cmp.Or(l.Bearer, l.Password))
	}}
	return a
}

// Login implements [Logins].
func (a *acrLogins) Login(ctx context.Context) (Login, error) { return a.held.get(ctx) }

// Forget implements [Logins].
func (a *acrLogins) Forget(l Login) {
	a.held.drop(refusedFor, func(now Login) bool { return now == l })
}

func (t *Tokens) exchange(ctx context.Context, accessToken string) (Login, lifetime, error) {
	form := url.Values{"grant_type": {"access_token"}, "service": {cmp.Or(t.config.Service, t.registry.Host)}, "access_token": {accessToken}}
	if t.config.ACRTenant != "" {
		form.Set("tenant", t.config.ACRTenant)
	}
	asked := t.now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(t.registry.String(), "/")+"/oauth2/exchange", strings.NewReader(form.Encode()))
	if err != nil {
		return Login{}, lifetime{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := send(t.clients.registry, r)
	switch {
	case err != nil:
		return Login{}, lifetime{}, fmt.Errorf("%w: asking %s to exchange the access token: %w", ErrUnavailable, t.registry.Host, withoutQuery(err))
	case resp.status >= 500 || resp.status == http.StatusTooManyRequests:
		return Login{}, lifetime{}, fmt.Errorf("%w: asked to exchange the access token, %s answers %d", ErrUnavailable, t.registry.Host, resp.status)
	case resp.status != http.StatusOK:
		return Login{}, lifetime{}, fmt.Errorf("%w: %s does not exchange the access token: %d", ErrRefused, t.registry.Host, resp.status)
	}
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal(resp.body, &answer); err != nil || answer.RefreshToken == "" {
		return Login{}, lifetime{}, fmt.Errorf("%w: the answer of %s has no refresh_token", ErrUnavailable, t.registry.Host)
	}
	d := time.Hour
	if end, ok := expiryOf(answer.RefreshToken); ok && end.After(asked) {
		d = end.Sub(asked)
	}
	return Login{IdentityToken: answer.RefreshToken}, livesFor(asked, d), nil
}

// identityUsers are the user names whose password is an identity token: that
// of docker's credential helpers, and that of Azure Container Registry.
var identityUsers = []string{"<token>", "00000000-0000-0000-0000-000000000000"}

// NewLogin makes a login of a user name and a password. With a name that stands
// for it, the password is an identity token.
func NewLogin(user, password string) Login {
	if slices.Contains(identityUsers, user) {
		return Login{IdentityToken: password}
	}
	return Login{Username: user, Password: password}
}

// basicAuth reads the base64 of user:password.
func basicAuth(text string) (Login, bool) {
	plain, err := base64.StdEncoding.DecodeString(text)
	user, password, ok := strings.Cut(strings.TrimRight(string(plain), "\x00"), ":")
	return NewLogin(user, password), err == nil && ok && user != ""
}
