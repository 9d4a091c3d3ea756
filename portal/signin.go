package portal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

// signIn lets people choose where to sign in, if there is a choice, and sends
// them there.
func (x *exchange) signIn() error {
	p := x.portal
	base, secure, err := p.base(x.r)
	if err != nil {
		return err
	}
	back := localPath(x.r.URL.Query().Get("return_to"), p.prefix)
	if x.session != nil {
		http.Redirect(x.w, x.r, back, http.StatusSeeOther)
		return nil
	}
	if !navigates(x.r) {
		return errSignIn
	}
	// The cookies must be set on the host that the provider sends back to. A
	// proxy may call us by another name: once is enough.
	if u, err := url.Parse(base); err == nil && u.Host != x.r.Host && !x.r.URL.Query().Has("moved") {
		http.Redirect(x.w, x.r, base+x.path("sign-in")+"?moved=1&return_to="+url.QueryEscape(back), http.StatusSeeOther)
		return nil
	}
	// Whoever wanted a page and has no choice is not asked.
	if len(p.providers) == 1 && x.r.URL.Query().Has("return_to") {
		return x.send(p.providers[0], base, secure, back)
	}
	return x.showProviders(back)
}

// start begins an attempt to sign in at a provider.
func (x *exchange) start() error {
	p := x.portal
	base, secure, err := p.base(x.r)
	if err != nil {
		return err
	}
	if !navigates(x.r) {
		return errSignIn
	}
	id, _ := strings.CutPrefix(x.r.URL.Path, x.path("sign-in/"))
	to := p.provider(strings.TrimPrefix(id, "at/"))
	if id == "here" {
		to = p.provider("")
	}
	if to == nil {
		return errNotFound
	}
	return x.send(to, base, secure, localPath(x.r.URL.Query().Get("return_to"), p.prefix))
}

func (x *exchange) send(to *provider, base string, secure bool, back string) error {
	a := newAttempt(to.id, back, x.portal.options.Now())
	a.Device = x.approves(back)
	return x.sendWith(a, to, base, secure)
}

// sendWith sends the browser to the provider for an attempt.
func (x *exchange) sendWith(a *attempt, to *provider, base string, secure bool) error {
	address, err := to.SignInURL(x.r.Context(), x.portal.request(a, to, base))
	if err != nil {
		x.portal.options.Log.Warn("sign-in cannot begin", "issuer", to.Config().Issuer, "error", err)
		return &providerError{provider: to, err: err}
	}
	if err := a.keep(x.w, x.r, secure); err != nil {
		return err
	}
	http.Redirect(x.w, x.r, address, http.StatusSeeOther)
	return nil
}

// request is what the provider is asked, and what its answer must fit.
func (p *Portal) request(a *attempt, to *provider, base string) authn.SignInRequest {
	return authn.SignInRequest{
		RedirectURI: base + p.prefix + to.callback(), State: a.state(), Nonce: a.nonce(), Verifier: a.verifier(),
		Again: a.Confirms != "" || a.Device,
	}
}

// callback is the page that the provider sends people back to. Each provider
// has its own, so that the answer of one is never taken for another's (RFC
// 9700 §4.4).
func (to *provider) callback() string {
	if to.id == "" {
		return "callback"
	}
	return "callback/" + to.id
}

// start returns the page that begins a sign-in at the provider.
func (to *provider) start() string {
	if to.id == "" {
		return "sign-in/here"
	}
	return "sign-in/at/" + to.id
}

// callback takes the provider's answer.
func (x *exchange) callback() error {
	p := x.portal
	base, secure, err := p.base(x.r)
	if err != nil {
		return err
	}
	q := x.r.URL.Query()
	for _, once := range []string{"state", "code", "iss", "error"} {
		if len(q[once]) > 1 {
			return errStale
		}
	}
	a := takeAttempt(x.w, x.r, q.Get("state"), secure, p.options.Now())
	if a == nil || !p.used.use(a, p.options.Now()) {
		return errStale
	}
	signedIn := false
	defer func() {
		if !signedIn {
			p.used.forget(a)
		}
	}()
	id, _ := strings.CutPrefix(strings.TrimPrefix(x.r.URL.Path, x.path("callback")), "/")
	from := p.provider(id)
	if from == nil || a.Provider != id {
		return errStale // an answer of another provider than was asked
	}
	refused := func(err error) error {
		p.options.Log.Warn("sign-in refused", "issuer", from.Config().Issuer, "error", err, "client_ip", x.client().remote.String())
		return &providerError{provider: from, err: err}
	}
	if err := from.CheckAnswerIssuer(x.r.Context(), q["iss"]); err != nil {
		return refused(err)
	}
	if code := q.Get("error"); code != "" {
		return refused(&answerError{code: code, description: q.Get("error_description")})
	}
	in, err := from.SignIn(x.r.Context(), p.request(a, from, base), q.Get("code"))
	if err != nil {
		return refused(err)
	}
	if a.Confirms != "" {
		return x.signedInAgain(a, in)
	}
	secret, err := p.options.Sessions.begin(x.r.Context(), in, a, x.client(), x.session, !secure)
	if errors.Is(err, state.ErrSpent) {
		return errStale
	}
	if err != nil {
		return refused(err)
	}
	signedIn = true
	setCookie(x.w, p.options.Sessions.cookie, secret, secure, p.options.Sessions.lifetime())
	if a.Device {
		return x.deviceFirst(a, in, secret, !secure)
	}
	http.Redirect(x.w, x.r, localPath(a.Return, p.prefix), http.StatusSeeOther)
	return nil
}

const (
	attemptCookie = "registry_signin_"
	attemptLife   = 15 * time.Minute
	// maxAttempts is how many sign-ins one browser can have open, maxUsed how
	// many finished ones are remembered.
	maxAttempts = 6
	maxUsed     = 1 << 16
)

// attempt is one sign-in on its way, in one tab. It is kept in a cookie of its
// own, so that the answer of the provider is good in this browser only and the
// tabs do not disturb each other. Everything the provider sees is derived from
// the secret and says nothing about it.
type attempt struct {
	ID       string `json:"-"`
	Secret   string `json:"s"`
	Provider string `json:"p"`           // its id
	Return   string `json:"r,omitempty"` // where to go afterwards
	Started  int64  `json:"t"`           // Unix seconds
	// Confirms is the id of what the sign-in is to confirm.
	Confirms string `json:"c,omitempty"`
	// Device: somebody who was not signed in wants to approve a device.
	Device bool `json:"d,omitempty"`
}

func newAttempt(provider, back string, now time.Time) *attempt {
	return &attempt{ID: rand.Text()[:16], Secret: newSecret(), Provider: provider, Return: back, Started: now.Unix()}
}

// derive returns the attempt's value for a purpose, 43 characters.
func (a *attempt) derive(purpose string) string {
	mac := hmac.New(sha256.New, []byte(a.Secret))
	mac.Write([]byte(purpose + "\x00" + a.ID + "\x00" + a.Provider))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (a *attempt) state() string    { return a.ID + "." + a.derive("state") }
func (a *attempt) nonce() string    { return a.derive("nonce") }
func (a *attempt) verifier() string { return a.derive("pkce") }

// keep sets the attempt's cookie, and removes those of others if there are too
// many.
func (a *attempt) keep(w http.ResponseWriter, r *http.Request, secure bool) error {
	raw, err := json.Marshal(a) //nolint:gosec // into the cookie of the browser whose secret it is
	if err != nil {
		return err
	}
	prefix := cookieName(attemptCookie, secure)
	var open []string
	for _, c := range r.Cookies() {
		if id, ok := strings.CutPrefix(c.Name, prefix); ok {
			open = append(open, id)
		}
	}
	if len(open) >= maxAttempts {
		for _, id := range open {
			setCookie(w, attemptCookie+id, "", secure, 0)
		}
	}
	setCookie(w, attemptCookie+a.ID, base64.RawURLEncoding.EncodeToString(raw), secure, attemptLife)
	return nil
}

// takeAttempt returns the attempt that a state parameter belongs to, and
// removes it from the browser: it is good once. Nil if this browser has none,
// or it is too old.
func takeAttempt(w http.ResponseWriter, r *http.Request, state string, secure bool, now time.Time) *attempt {
	id, _, _ := strings.Cut(state, ".")
	if len(id) != 16 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return nil
	}
	value, present := oneCookie(r.Header, cookieName(attemptCookie+id, secure))
	if !present {
		return nil
	}
	setCookie(w, attemptCookie+id, "", secure, 0)
	raw, err := base64.RawURLEncoding.DecodeString(value)
	a := &attempt{ID: id}
	if err != nil || json.Unmarshal(raw, a) != nil || !isSecret(a.Secret) {
		return nil
	}
	age := now.Sub(time.Unix(a.Started, 0))
	if !hmac.Equal([]byte(a.state()), []byte(state)) || age < -time.Minute || age > attemptLife {
		return nil
	}
	return a
}

// usedAttempts remembers attempts that are finished, or just now being so,
// while their cookies could still be shown by somebody who has copied them.
type usedAttempts struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// use reports whether the attempt is used for the first time.
func (u *usedAttempts) use(a *attempt, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen == nil {
		u.seen = map[string]time.Time{}
	}
	key := hashed(a.Secret)
	if _, used := u.seen[key]; used {
		return false
	}
	if len(u.seen) >= maxUsed {
		for k, at := range u.seen {
			if now.Sub(at) > attemptLife {
				delete(u.seen, k)
			}
		}
		if len(u.seen) >= maxUsed {
			return false
		}
	}
	u.seen[key] = now
	return true
}

// forget takes an attempt off that did not succeed: there is nothing in it for
// a thief, and anybody can make as many as there are places.
func (u *usedAttempts) forget(a *attempt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.seen, hashed(a.Secret))
}

// maxReturn is how long a way back may be, in bytes.
const maxReturn = 1024

// localPath returns where to go after signing in: target if it is a path on
// this host in the plainest spelling, else fallback. Whatever some browser or
// proxy may read as another host is none: "//host", "/\host", tabs, encoded
// slashes, dot segments, what may pass for a user before a host.
func localPath(target, fallback string) string {
	if len(target) > maxReturn || !strings.HasPrefix(target, "/") {
		return fallback
	}
	for _, r := range target {
		if r <= ' ' || r > '~' || strings.ContainsRune("\\\"<>^`{|}", r) {
			return fallback
		}
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return fallback
	}
	path, _, _ := strings.Cut(target, "?")
	if strings.Contains(path, "%") || strings.Contains(path, "//") || strings.Contains(path, "/.") || strings.Contains(path, "@") {
		return fallback
	}
	return target
}
